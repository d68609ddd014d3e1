# convt3d_library(NAME [COMPONENT component] [HEADERS header...])
#
# What every library target convt3d_NAME of the project has: the alias convt3d::NAME, C++20, the source tree's and the
# installation's include path, warnings, and its place in the installed package.
#   COMPONENT  of find_package(convt3d COMPONENTS ...) that brings it; without one it comes with every find_package(convt3d)
#   HEADERS    its public headers: these are installed, and a test compiles each of them on its own
function(convt3d_library name)
  cmake_parse_arguments(LIBRARY "" "COMPONENT" "HEADERS" ${ARGN})
  set(target convt3d_${name})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL INTERFACE_LIBRARY)
    set(scope INTERFACE)
  else()
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:convt3d_warnings>)
  endif()

  add_library(convt3d::${name} ALIAS ${target})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_include_directories(${target} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/lib>)
  target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}/lib FILES ${LIBRARY_HEADERS})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
                        VERIFY_INTERFACE_HEADER_SETS ON)

  if(NOT LIBRARY_COMPONENT)
    set(LIBRARY_COMPONENT core)
  endif()
  install(TARGETS ${target} EXPORT convt3d-${LIBRARY_COMPONENT} FILE_SET HEADERS)
  set_property(GLOBAL APPEND PROPERTY CONVT3D_COMPONENTS ${LIBRARY_COMPONENT})
endfunction()
