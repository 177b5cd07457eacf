# Wraps a text file as a C++ raw string literal: cmake -DIN=... -DOUT=... -P embed_text.cmake
file(READ ${IN} text)
file(WRITE ${OUT} "R\"pgduet_text(${text})pgduet_text\"")
