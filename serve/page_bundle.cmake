# The page's files as arrays: page_files_data.c, from serve/page/ and the report's modules.
file(GLOB page CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/serve/page ${CMAKE_SOURCE_DIR}/serve/page/*)
file(GLOB report CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/src/report/page
  ${CMAKE_SOURCE_DIR}/src/report/page/*.js ${CMAKE_SOURCE_DIR}/src/report/page/*.css)
set(arrays "")
set(rows "")
set(serve_page_files "")
set(count 0)
macro(eg_page_file path name)
  list(APPEND serve_page_files ${path})
  string(APPEND arrays "__asm__(\".section .rodata\\n.balign 16\\npage_${count}:\\n.incbin \\\"${path}\\\"\\n\"\n"
    "        \"page_${count}_end:\\n.byte 0\\n.text\\n\");\n"
    "extern __attribute__((visibility(\"hidden\"))) const unsigned char page_${count}[], page_${count}_end[];\n")
  string(APPEND rows "    {\"${name}\", page_${count}, page_${count}_end},\n")
  math(EXPR count "${count} + 1")
endmacro()
foreach(name ${page})
  eg_page_file(${CMAKE_SOURCE_DIR}/serve/page/${name} ${name})
endforeach()
foreach(name ${report})
  eg_page_file(${CMAKE_SOURCE_DIR}/src/report/page/${name} report/${name})
endforeach()
eg_page_file(${CMAKE_SOURCE_DIR}/serve/openapi.json openapi.json)
set(serve_page_data ${CMAKE_BINARY_DIR}/generated_serve/page_files_data.c)
file(GENERATE OUTPUT ${serve_page_data} CONTENT
  "#include \"serve/page_files.h\"\n${arrays}const struct page_file page_files[] = {\n${rows}    {0},\n};\n")
set_source_files_properties(${serve_page_data} PROPERTIES GENERATED TRUE OBJECT_DEPENDS "${serve_page_files}")
