# Compiler settings and the two helpers every part uses:
#   samplemind_library(NAME SOURCES ... DEPS ... [PRIVATE_DEPS ...])   a static library sm_NAME
#   samplemind_test(NAME SOURCES ... DEPS ... [LABELS ...])            a GoogleTest executable known to ctest

set(SAMPLEMIND_SANITIZE "" CACHE STRING "Empty, address (with undefined) or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Asserts on our own mistakes stay on in every build (SM_ASSERT), so NDEBUG only silences third parties.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
add_compile_options(-fno-omit-frame-pointer)

if(SAMPLEMIND_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(SAMPLEMIND_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()

# Warnings are errors in our own code; third-party headers are system headers.
# -Wrestrict is off: GCC 12 sees overlaps in inlined std::string code where there are none (GCC bug 105651).
add_library(sm_warnings INTERFACE)
target_compile_options(sm_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror -Wshadow=local -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers -Wno-restrict>)
if(SAMPLEMIND_SANITIZE)
  # GCC 12 reports false positives of these once sanitizers have changed the code.
  target_compile_options(sm_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict -Wno-tsan>)
endif()

function(samplemind_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(sm_${name} STATIC ${A_SOURCES})
  target_include_directories(sm_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
  target_link_libraries(sm_${name} PUBLIC ${A_DEPS} PRIVATE ${A_PRIVATE_DEPS} sm_warnings)
endfunction()

function(samplemind_test name)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT SAMPLEMIND_TESTS)
    return()
  endif()
  if(NOT A_LABELS)
    set(A_LABELS unit)
  endif()
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 120)
  endif()
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE ${A_DEPS} GTest::gtest GTest::gtest_main sm_warnings)
  # One ctest entry an executable: start-up is paid once and --changed works by executable.
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()
