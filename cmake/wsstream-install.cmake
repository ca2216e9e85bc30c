# What `cmake --install` lays down: the libraries with their links, headers, pkg-config file, CMake package, manual pages,
# licences; in components as distributions split them. And the target `uninstall`, which takes it away again.
include(CMakePackageConfigHelpers)

set(wsstream_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/wsstream")

install(PROGRAMS "${wsstream_library}" "${wsstream_library_dir}/${wsstream_soname}"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime)
install(FILES "${wsstream_library_dir}/libwsstream.so" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
if(WSSTREAM_STATIC)
  install(FILES "${wsstream_static_library}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
endif()

configure_package_config_file(cmake/wsstream-config.cmake.in wsstream-config.cmake INSTALL_DESTINATION "${wsstream_package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(wsstream-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/wsstream-config.cmake" "${CMAKE_CURRENT_BINARY_DIR}/wsstream-config-version.cmake"
        DESTINATION "${wsstream_package_dir}" COMPONENT development)

# pkg-config finds the prefix from where its file lies, so that an installed tree may be moved. Where the place of libraries is
# absolute nothing can be found from it, and the prefix is that of the configuration.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(wsstream_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  string(REGEX REPLACE "[^/]+" ".." wsstream_pc_prefix "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  string(PREPEND wsstream_pc_prefix "\${pcfiledir}/")
endif()
foreach(folder IN ITEMS LIBDIR INCLUDEDIR)
  set(wsstream_pc_${folder} "${CMAKE_INSTALL_${folder}}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    string(PREPEND wsstream_pc_${folder} "\${prefix}/")
  endif()
endforeach()
list(JOIN wsstream_system_flags " " wsstream_pc_private)
configure_file(cmake/wsstream.pc.in wsstream.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/wsstream.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

file(GLOB wsstream_headers CONFIGURE_DEPENDS
  "${PROJECT_SOURCE_DIR}/include/*.h" "${PROJECT_SOURCE_DIR}/bindings/cpp/*.hpp")
install(FILES ${wsstream_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
foreach(section IN ITEMS 1 3 7)
  file(GLOB wsstream_pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/man${section}/*.${section}")
  install(FILES ${wsstream_pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}" COMPONENT documentation)
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE-MIT" "${PROJECT_SOURCE_DIR}/LICENSE-APACHE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)

if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall
    COMMAND "${CMAKE_COMMAND}" "-DBUILD=${PROJECT_BINARY_DIR}" -P "${PROJECT_SOURCE_DIR}/cmake/wsstream-uninstall.cmake"
    COMMENT "Removing what cmake --install laid down"
    VERBATIM)
endif()
