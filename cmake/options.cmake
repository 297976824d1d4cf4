# What every target is compiled with.
add_library(postern_options INTERFACE)
target_include_directories(postern_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(postern_options INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wnon-virtual-dtor)
target_compile_definitions(postern_options INTERFACE _GNU_SOURCE $<$<BOOL:${POSTERN_TESTING}>:POSTERN_TESTING>
                           $<$<BOOL:${POSTERN_SANITIZE}>:POSTERN_SANITIZE>)
if(POSTERN_WERROR)
    target_compile_options(postern_options INTERFACE -Werror)
endif()
if(POSTERN_SANITIZE)
    target_compile_options(postern_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all
                           -fno-omit-frame-pointer)
    target_link_options(postern_options INTERFACE -fsanitize=address,undefined)
endif()
if(POSTERN_FUZZ)
    target_compile_options(postern_options INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(postern_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_CXX_CLANG_TIDY) # what passed with other checks has to pass again
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/.clang-tidy)
    file(SHA256 ${PROJECT_SOURCE_DIR}/.clang-tidy tidy_checks)
    target_compile_definitions(postern_options INTERFACE POSTERN_TIDY_CHECKS=0x${tidy_checks})
endif()
link_libraries(postern_options)
