# For a program that loads plug-ins: they use its copy of base and protocol, so all of both must be in it.
# CMake's WHOLE_ARCHIVE feature would link every repetition of a static library whole, which cannot work for
# libraries that others depend on too; named once in front of everything, each is taken whole once.
function(loads_plugins target)
    target_link_libraries(${target} PRIVATE base protocol)
    set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)
    target_link_options(${target} PRIVATE
        LINKER:--whole-archive,$<TARGET_FILE:base>,$<TARGET_FILE:protocol>,--no-whole-archive)
endfunction()
