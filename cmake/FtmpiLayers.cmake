# SPDX-License-Identifier: Apache-2.0
# ftmpi_add_layer(NAME SOURCES … [LINK …]): one layer of the design as an object library. What a layer links is private to it, so a
# header of MPI, HDF5 or CBLAS can be included only in the layers that may use it.

add_library(ftmpi_flags INTERFACE)
target_compile_features(ftmpi_flags INTERFACE c_std_11)
target_compile_options(ftmpi_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  $<$<BOOL:${FTMPI_WERROR}>:-Werror>
  # Same bits whatever the slice or the vector width: no contraction, no reassociation. The other two change no value.
  -ffp-contract=off -fno-math-errno -fno-trapping-math)
target_compile_definitions(ftmpi_flags INTERFACE _GNU_SOURCE)
if(FTMPI_SANITIZE) # everything: the library, the program and the tests
  add_compile_options(-fsanitize=${FTMPI_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FTMPI_SANITIZE})
endif()

set(FTMPI_LAYERS "" CACHE INTERNAL "layers added so far")

function(ftmpi_add_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_library(ftmpi_${name} OBJECT ${arg_SOURCES})
  set_target_properties(ftmpi_${name} PROPERTIES
    C_STANDARD 11 C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_include_directories(ftmpi_${name}
    PUBLIC "${PROJECT_SOURCE_DIR}/include" PRIVATE "${PROJECT_SOURCE_DIR}/src")
  # The loops over arenas are there to be vectorised, which gcc does well only at -O3.
  target_compile_options(ftmpi_${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3>)
  target_link_libraries(ftmpi_${name} PRIVATE ftmpi_flags ${arg_LINK})
  set(FTMPI_LAYERS "${FTMPI_LAYERS};${name}" CACHE INTERNAL "layers added so far")
endfunction()
