# The installed package: one file of targets per component, so that find_package(convt3d) alone asks for no third party
# but those that convolving needs.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convt3d)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/convt3dConfig.cmake.in ${PROJECT_BINARY_DIR}/convt3dConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/convt3dConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/convt3dConfig.cmake ${PROJECT_BINARY_DIR}/convt3dConfigVersion.cmake
        DESTINATION ${package_dir})

get_property(components GLOBAL PROPERTY CONVT3D_COMPONENTS)
list(REMOVE_DUPLICATES components)
foreach(component IN LISTS components)
  install(EXPORT convt3d-${component} NAMESPACE convt3d:: DESTINATION ${package_dir})
endforeach()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/convt3d/configs)
