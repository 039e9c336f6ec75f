# SPDX-License-Identifier: Apache-2.0
# cmake --install: the library, its headers, the program, the CMake package (find_package(ftmpi) gives ftmpi::ftmpi) and ftmpi.pc.
#
# The tree can be moved: the program finds the library, and ftmpi.pc its prefix, relative to themselves. The libraries below (MPI,
# HDF5, BLAS) keep the folders that they were linked from, so that an installed program computes with the BLAS it was built with.
include(CMakePackageConfigHelpers)

set(FTMPI_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/ftmpi")
file(RELATIVE_PATH FTMPI_BIN_TO_LIB "/prefix/${CMAKE_INSTALL_BINDIR}" "/prefix/${CMAKE_INSTALL_LIBDIR}")
file(RELATIVE_PATH FTMPI_PC_TO_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")

set_target_properties(ftmpi PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS ftmpi EXPORT ftmpi
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/ftmpi" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
set_target_properties(ftmpi_app PROPERTIES INSTALL_RPATH "$ORIGIN/${FTMPI_BIN_TO_LIB}" INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS ftmpi_app RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

install(EXPORT ftmpi NAMESPACE ftmpi:: FILE ftmpiTargets.cmake DESTINATION "${FTMPI_CMAKE_DIR}")
configure_package_config_file(cmake/ftmpiConfig.cmake.in "${PROJECT_BINARY_DIR}/ftmpiConfig.cmake"
  INSTALL_DESTINATION "${FTMPI_CMAKE_DIR}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/ftmpiConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/ftmpiConfig.cmake" "${PROJECT_BINARY_DIR}/ftmpiConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/FtmpiDependencies.cmake" DESTINATION "${FTMPI_CMAKE_DIR}")

# What `pkg-config --static` adds, as flags: some of these libraries have no .pc file everywhere, or one with another name.
set(FTMPI_PC_LIBS_PRIVATE ${FTMPI_HDF5_LDFLAGS} ${HDF5_C_LIBRARIES} ${FTMPI_OPENBLAS_LDFLAGS} ${FTMPI_XXHASH_LDFLAGS}
  ${FTMPI_PROTOBUF_C_LDFLAGS} ${FTMPI_ISAL_LDFLAGS} ${FTMPI_JANSSON_LDFLAGS} ${FTMPI_LIBZIP_LDFLAGS} ${MPI_C_LIBRARIES} ${ZLIB_LIBRARIES} ${CMAKE_THREAD_LIBS_INIT} -lm)
list(JOIN FTMPI_PC_LIBS_PRIVATE " " FTMPI_PC_LIBS_PRIVATE)
configure_file(cmake/ftmpi.pc.in "${PROJECT_BINARY_DIR}/ftmpi.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/ftmpi.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
