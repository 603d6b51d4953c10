# samplemind_embed(TARGET HEADER namespace::symbol FILE): makes FILE's bytes a `constexpr std::string_view symbol` in
# HEADER (include it by that name). Files change rarely and are small, so a raw array is quick enough to compile.
function(samplemind_embed target header symbol file)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embedded/${header})
  get_filename_component(file ${file} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${file} -DOUT=${out} -DSYMBOL=${symbol} -P ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding ${header}" VERBATIM)
  target_sources(${target} PRIVATE ${out})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/embedded)
endfunction()
