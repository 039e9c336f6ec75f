# SPDX-License-Identifier: Apache-2.0
# ftmpi_add_test(NAME n COMMAND c… [NP 1 2 …] [LABELS l…] [TIMEOUT s] [ENVIRONMENT k=v…] [PROCESSORS p])
#
# One CTest entry per np (`n_np2`), each in an empty scratch directory of its own and with an environment that is written here, not
# inherited. Without NP the command runs without a launcher. Exit code 77 means: skipped, and the output says why.
#
# Labels beside those of the tests' folders: lint, valgrind, sanitize, install; bench and thorough are not in the default run.
find_package(PkgConfig REQUIRED)
pkg_check_modules(FTMPI_CMOCKA REQUIRED IMPORTED_TARGET cmocka)

set(FTMPI_TEST_ENVIRONMENT
  OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
  OMPI_MCA_hwloc_base_binding_policy=none
  FTMPI_SOURCE_DIR=${PROJECT_SOURCE_DIR} FTMPI_BINARY_DIR=${PROJECT_BINARY_DIR} FTMPI_MPIEXEC=${MPIEXEC_EXECUTABLE}
  FTMPI_REQUIRE_ALL=$<BOOL:${FTMPI_REQUIRE_ALL}>
  ASAN_OPTIONS=fast_unwind_on_malloc=0:detect_leaks=1
  LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0
  UBSAN_OPTIONS=print_stacktrace=1)

function(ftmpi_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT;PROCESSORS" "COMMAND;NP;LABELS;ENVIRONMENT")
  string(REPLACE "\\;" ";" arg_LABELS "${arg_LABELS}") # of a caller that quotes its list
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_NP)
    ftmpi__add_one_test(${arg_NAME} 1 ${arg_COMMAND})
  endif()
  foreach(np IN LISTS arg_NP)
    ftmpi__add_one_test(${arg_NAME}_np${np} ${np} ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np} ${FTMPI_TEST_WRAPPER}
      ${arg_COMMAND})
  endforeach()
  if("${arg_COMMAND}" MATCHES "^[$]<TARGET_FILE:" AND "${arg_LABELS}" MATCHES "^(unit|mpi)$" AND NOT FTMPI_SANITIZE)
    ftmpi__add_valgrind_twin()
  endif()
endfunction()

# A test program once more under valgrind, at np 2 where it has that: `valgrind_n`. In the default run are those that take seconds; the
# others have the label thorough.
set(FTMPI_VALGRIND_QUICK
  unit_base unit_dropout unit_idx unit_keras unit_layers unit_loss unit_model unit_optimizer unit_order unit_reader unit_registry
  mpi_comm mpi_trainer)

macro(ftmpi__add_valgrind_twin)
  set(command "${PROJECT_SOURCE_DIR}/tests/valgrind.sh" ${arg_COMMAND})
  if(arg_NP)
    list(GET arg_NP 0 np)
    if(2 IN_LIST arg_NP)
      set(np 2)
    endif()
    list(PREPEND command ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${np})
  endif()
  set(arg_LABELS valgrind)
  if(NOT arg_NAME IN_LIST FTMPI_VALGRIND_QUICK)
    list(APPEND arg_LABELS thorough)
  endif()
  math(EXPR arg_TIMEOUT "8 * ${arg_TIMEOUT}")
  ftmpi__add_one_test(valgrind_${arg_NAME} 2 ${command})
endmacro()

function(ftmpi__add_one_test name np)
  set(scratch "${PROJECT_BINARY_DIR}/scratch/${name}")
  add_test(NAME ${name} WORKING_DIRECTORY "${PROJECT_BINARY_DIR}" COMMAND
    ${CMAKE_COMMAND} -E env ${FTMPI_TEST_ENVIRONMENT} ${arg_ENVIRONMENT}
    sh "${PROJECT_SOURCE_DIR}/tests/in_scratch.sh" "${scratch}" ${ARGN})
  if(NOT arg_PROCESSORS)
    math(EXPR arg_PROCESSORS "${np}")
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77 PROCESSORS ${arg_PROCESSORS})
endfunction()

# A cmocka program from tests/<dir>/<name>.c over the object libraries LAYERS, so that it sees private functions too.
function(ftmpi_add_test_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LAYERS;LINK")
  add_executable(${name} ${arg_SOURCES})
  foreach(layer IN LISTS arg_LAYERS)
    target_sources(${name} PRIVATE $<TARGET_OBJECTS:ftmpi_${layer}>)
  endforeach()
  target_include_directories(${name} PRIVATE
    "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
  set_target_properties(${name} PROPERTIES C_STANDARD 11 C_EXTENSIONS OFF)
  target_link_libraries(${name} PRIVATE ftmpi_flags PkgConfig::FTMPI_CMOCKA MPI::MPI_C ftmpi_hdf5 PkgConfig::FTMPI_OPENBLAS
    PkgConfig::FTMPI_XXHASH PkgConfig::FTMPI_PROTOBUF_C PkgConfig::FTMPI_ISAL PkgConfig::FTMPI_JANSSON PkgConfig::FTMPI_LIBZIP ZLIB::ZLIB Threads::Threads ftmpi_random123 m ${arg_LINK})
endfunction()
