# What `cmake --install` puts where: the programs, and the ear as a CMake package for other C++
# programs (find_package(SampleMind), target SampleMind::audio; examples/hear shows it).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS samplemind RUNTIME COMPONENT programs)
if(TARGET samplemind-decode)
  install(TARGETS samplemind-decode RUNTIME COMPONENT programs)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/SampleMind)
set(header_dir ${CMAKE_INSTALL_INCLUDEDIR}/samplemind)
set_target_properties(sm_audio PROPERTIES EXPORT_NAME audio)
set_target_properties(sm_base PROPERTIES EXPORT_NAME base)
set_target_properties(sm_warnings PROPERTIES EXPORT_NAME warnings)
# The headers are C++20.
target_compile_features(sm_base PUBLIC cxx_std_20)
set(package_targets sm_audio sm_base blake3)
install(TARGETS ${package_targets} EXPORT SampleMindTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/samplemind COMPONENT development
  INCLUDES DESTINATION ${header_dir})
install(TARGETS sm_warnings EXPORT SampleMindTargets COMPONENT development)
foreach(part base audio)
  install(DIRECTORY src/${part} DESTINATION ${header_dir} COMPONENT development
    FILES_MATCHING PATTERN "*.h" PATTERN "*_internal.h" EXCLUDE PATTERN "test_*.h" EXCLUDE)
endforeach()
install(EXPORT SampleMindTargets NAMESPACE SampleMind:: DESTINATION ${package_dir} COMPONENT development)

set(SAMPLEMIND_BLAKE3_IS_PACKAGED FALSE)
if(TARGET BLAKE3::blake3)
  set(SAMPLEMIND_BLAKE3_IS_PACKAGED TRUE)
endif()
configure_package_config_file(cmake/SampleMindConfig.cmake.in ${CMAKE_BINARY_DIR}/SampleMindConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/SampleMindConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/SampleMindConfig.cmake ${CMAKE_BINARY_DIR}/SampleMindConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)
