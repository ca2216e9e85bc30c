# What `cmake --install` lays down: header, library with its links, pkg-config file and CMake package.
# The SONAME is read from the library that was built; build.rs is where it is decided.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(wsstream_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/wsstream")
set(wsstream_installed_library "libwsstream.so.${PROJECT_VERSION}")

install(FILES "${PROJECT_SOURCE_DIR}/include/wsstream.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${PROJECT_SOURCE_DIR}/bindings/cpp/wsstream.hpp" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(PROGRAMS "${wsstream_library}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" RENAME "${wsstream_installed_library}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE-MIT" "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

install(CODE "
  execute_process(COMMAND \"${CMAKE_READELF}\" --wide --dynamic \"${wsstream_library}\"
                  OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
  if(NOT dynamic MATCHES \"Library soname: \\\\[([^]]+)\\\\]\")
    message(FATAL_ERROR \"${wsstream_library} has no SONAME\")
  endif()
  set(soname \"\${CMAKE_MATCH_1}\")
  set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}\")
  file(CREATE_LINK \"${wsstream_installed_library}\" \"\${folder}/\${soname}\" SYMBOLIC)
  file(CREATE_LINK \"\${soname}\" \"\${folder}/libwsstream.so\" SYMBOLIC)
")

configure_package_config_file(cmake/wsstream-config.cmake.in wsstream-config.cmake
  INSTALL_DESTINATION "${wsstream_package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(wsstream-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/wsstream-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/wsstream-config-version.cmake"
        DESTINATION "${wsstream_package_dir}")

# pkg-config finds the prefix from where its file lies, so that an installed tree may be moved.
string(REGEX REPLACE "[^/]+" ".." wsstream_prefix_from_pc "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
configure_file(cmake/wsstream.pc.in wsstream.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/wsstream.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
