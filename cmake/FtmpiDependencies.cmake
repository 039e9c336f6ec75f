# SPDX-License-Identifier: Apache-2.0
# The libraries that ftmpi stands on, each as an imported target. Installed too: with a static libftmpi the package includes it, with
# FTMPI_LINK_ONLY set, for the program that links the library.
find_package(MPI REQUIRED COMPONENTS C)
find_package(PkgConfig REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)

# Debian has one HDF5 per MPI; pkg-config knows which one goes with Open MPI. Elsewhere CMake's module finds the parallel HDF5.
pkg_search_module(FTMPI_HDF5 QUIET IMPORTED_TARGET hdf5-openmpi)
if(TARGET PkgConfig::FTMPI_HDF5)
  add_library(ftmpi_hdf5 INTERFACE IMPORTED)
  target_link_libraries(ftmpi_hdf5 INTERFACE PkgConfig::FTMPI_HDF5)
else()
  set(HDF5_PREFER_PARALLEL ON)
  find_package(HDF5 1.10 REQUIRED COMPONENTS C)
  if(NOT HDF5_IS_PARALLEL)
    message(FATAL_ERROR "ftmpi needs a parallel HDF5 (configured with --enable-parallel); found a serial one")
  endif()
  add_library(ftmpi_hdf5 INTERFACE IMPORTED)
  target_link_libraries(ftmpi_hdf5 INTERFACE hdf5::hdf5)
endif()

pkg_check_modules(FTMPI_OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(FTMPI_XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(FTMPI_PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(FTMPI_ISAL REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(FTMPI_JANSSON REQUIRED IMPORTED_TARGET jansson>=2.11)
pkg_check_modules(FTMPI_LIBZIP REQUIRED IMPORTED_TARGET libzip>=1.6)

if(NOT FTMPI_LINK_ONLY)
  # A library that chooses its vectors at run time hashes bytes in the cache four times as fast as one built for any processor.
  include(CheckSymbolExists)
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::FTMPI_XXHASH)
  check_symbol_exists(XXH3_128bits_dispatch "xxhash.h;xxh_x86dispatch.h" FTMPI_XXHASH_DISPATCH)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(FTMPI_XXHASH_DISPATCH)
    target_compile_definitions(PkgConfig::FTMPI_XXHASH INTERFACE FTMPI_XXHASH_DISPATCH)
  endif()

  find_path(FTMPI_RANDOM123_INCLUDE Random123/philox.h)
  if(NOT FTMPI_RANDOM123_INCLUDE)
    message(FATAL_ERROR "ftmpi needs Random123's headers (Debian: librandom123-dev); elsewhere: -DFTMPI_RANDOM123_INCLUDE=FOLDER")
  endif()
  add_library(ftmpi_random123 INTERFACE IMPORTED)
  target_include_directories(ftmpi_random123 INTERFACE "${FTMPI_RANDOM123_INCLUDE}")

  find_program(FTMPI_PROTOC_C protoc-c)
  if(NOT FTMPI_PROTOC_C)
    message(FATAL_ERROR "ftmpi needs protoc-c (Debian: protobuf-c-compiler); elsewhere: -DFTMPI_PROTOC_C=PROGRAM")
  endif()
endif()
