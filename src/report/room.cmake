# The page's views become arrays of the library.
file(GLOB page_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/report/page/*)
set(report_generated ${CMAKE_CURRENT_BINARY_DIR}/generated_page)
add_custom_command(
  OUTPUT ${report_generated}/page_parts.h
  COMMAND ${CMAKE_COMMAND} -DOUT=${report_generated}/page_parts.h -P ${CMAKE_SOURCE_DIR}/src/report/page/bundle.cmake
  DEPENDS ${page_files})
target_sources(room_report PRIVATE ${report_generated}/page_parts.h)
target_include_directories(room_report PRIVATE ${report_generated})
