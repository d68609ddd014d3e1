# convt3d_library(NAME): what every library target of the project has: an alias, C++20, the source tree's and the
# installation's include path, warnings, and its place in the exported package.
function(convt3d_library name)
  add_library(convt3d::${name} ALIAS convt3d_${name})
  target_compile_features(convt3d_${name} PUBLIC cxx_std_20)
  target_include_directories(convt3d_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/lib>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(convt3d_${name} PRIVATE $<BUILD_INTERFACE:convt3d_warnings>)
  set_target_properties(convt3d_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
endfunction()
