// What is drawn, before it becomes pixels or SVG.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace samplemind::audio {

struct Colour {
  uint8_t r = 0, g = 0, b = 0;
};

struct Scene {
  int width = 0, height = 0;
  Colour background;

  struct Rectangle {
    double x, y, w, h;
    Colour fill;
    double opacity;
  };
  struct Line {
    std::vector<std::pair<double, double>> points;
    Colour colour;
    double width;
    double opacity;
    bool filled = false;  // the points' polygon instead of a line through them
  };
  enum class Anchor { kStart, kMiddle, kEnd };
  struct Text {
    double x, y;  // of the base line
    std::string text;
    Colour colour;
    int size;  // pixels: 14 or 21
    Anchor anchor;
  };
  struct Image {
    double x, y, w, h;
    int columns, rows;
    std::vector<Colour> pixels;  // row by row from above
  };
  // Drawn in this order.
  std::vector<Rectangle> rectangles;
  std::vector<Image> images;
  std::vector<Line> lines;
  std::vector<Text> texts;
};

std::string png_of(const Scene& scene);
std::string svg_of(const Scene& scene);
// A PNG file of 8-bit RGB pixels, row by row.
std::string png_bytes(int width, int height, const std::vector<uint8_t>& rgb);

// The column bits (lowest above) of a character of 5 x 7 dots; a box for what is not in the font.
const uint8_t* glyph_of(char c);

}  // namespace samplemind::audio
