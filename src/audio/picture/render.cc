// A scene as PNG (own rasteriser, zlib) and as SVG.
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

#include "audio/picture/scene_internal.h"

namespace samplemind::audio {

namespace {

void big_endian(std::string& out, uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
}

void png_chunk(std::string& out, const char* type, const std::string& body) {
  big_endian(out, static_cast<uint32_t>(body.size()));
  const size_t at = out.size();
  out += type;
  out += body;
  const uLong sum =
      crc32(0, reinterpret_cast<const Bytef*>(out.data() + at), static_cast<uInt>(out.size() - at));
  big_endian(out, static_cast<uint32_t>(sum));
}

class Raster {
 public:
  Raster(int width, int height, Colour background)
      : width_(width), height_(height), rgb_(static_cast<size_t>(width * height) * 3) {
    for (size_t i = 0; i < rgb_.size(); i += 3) put(i, background, 1);
  }

  void blend(int x, int y, Colour c, double opacity) {
    if (x < 0 || y < 0 || x >= width_ || y >= height_ || opacity <= 0) return;
    put((static_cast<size_t>(y) * static_cast<size_t>(width_) + static_cast<size_t>(x)) * 3, c,
        std::min(opacity, 1.0));
  }

  void rectangle(const Scene::Rectangle& r) {
    for (int y = static_cast<int>(r.y); y < static_cast<int>(r.y + r.h); ++y)
      for (int x = static_cast<int>(r.x); x < static_cast<int>(r.x + r.w); ++x)
        blend(x, y, r.fill, r.opacity);
  }

  void image(const Scene::Image& image) {
    const int left = static_cast<int>(image.x), top = static_cast<int>(image.y);
    const int w = static_cast<int>(image.w), h = static_cast<int>(image.h);
    for (int y = 0; y < h; ++y) {
      const auto row = static_cast<size_t>(y * image.rows / h);
      for (int x = 0; x < w; ++x) {
        const auto column = static_cast<size_t>(x * image.columns / w);
        blend(left + x, top + y, image.pixels[row * static_cast<size_t>(image.columns) + column],
              1);
      }
    }
  }

  // The distance of each nearby pixel to the line settles its share: smooth edges.
  void segment(std::pair<double, double> a, std::pair<double, double> b, Colour c, double width,
               double opacity) {
    const double dx = b.first - a.first, dy = b.second - a.second;
    const double length2 = dx * dx + dy * dy;
    const double reach = width / 2 + 1;
    const int x0 = static_cast<int>(std::floor(std::min(a.first, b.first) - reach));
    const int x1 = static_cast<int>(std::ceil(std::max(a.first, b.first) + reach));
    const int y0 = static_cast<int>(std::floor(std::min(a.second, b.second) - reach));
    const int y1 = static_cast<int>(std::ceil(std::max(a.second, b.second) + reach));
    for (int y = std::max(0, y0); y <= std::min(height_ - 1, y1); ++y) {
      for (int x = std::max(0, x0); x <= std::min(width_ - 1, x1); ++x) {
        const double px = x + 0.5 - a.first, py = y + 0.5 - a.second;
        const double t = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0;
        const double distance = std::hypot(px - t * dx, py - t * dy);
        blend(x, y, c, std::clamp(width / 2 + 0.5 - distance, 0.0, 1.0) * opacity);
      }
    }
  }

  // A polygon by the even-odd rule, four rows a pixel.
  void polygon(const Scene::Line& line) {
    double top = line.points[0].second, bottom = top;
    for (const auto& [x, y] : line.points) {
      top = std::min(top, y);
      bottom = std::max(bottom, y);
    }
    std::vector<double> cuts;
    for (int y = std::max(0, static_cast<int>(top));
         y <= std::min(height_ - 1, static_cast<int>(bottom)); ++y) {
      std::vector<double> share(static_cast<size_t>(width_), 0.0);
      for (int s = 0; s < 4; ++s) {
        const double at = y + (s + 0.5) / 4;
        cuts.clear();
        for (size_t i = 0; i < line.points.size(); ++i) {
          const auto& [ax, ay] = line.points[i];
          const auto& [bx, by] = line.points[(i + 1) % line.points.size()];
          if ((ay <= at) != (by <= at)) cuts.push_back(ax + (at - ay) / (by - ay) * (bx - ax));
        }
        std::sort(cuts.begin(), cuts.end());
        for (size_t i = 0; i + 1 < cuts.size(); i += 2) {
          for (int x = std::max(0, static_cast<int>(cuts[i]));
               x <= std::min<double>(width_ - 1, cuts[i + 1]); ++x)
            share[static_cast<size_t>(x)] +=
                std::clamp(std::min(x + 1.0, cuts[i + 1]) - std::max<double>(x, cuts[i]), 0.0,
                           1.0) /
                4;
        }
      }
      for (int x = 0; x < width_; ++x)
        blend(x, y, line.colour, share[static_cast<size_t>(x)] * line.opacity);
    }
  }

  void text(const Scene::Text& t) {
    const int dot = std::max(1, t.size / 7);
    const int advance = 6 * dot;
    int x = static_cast<int>(t.x);
    const int width = static_cast<int>(t.text.size()) * advance - dot;
    if (t.anchor == Scene::Anchor::kMiddle) x -= width / 2;
    if (t.anchor == Scene::Anchor::kEnd) x -= width;
    const int top = static_cast<int>(t.y) - 7 * dot;
    for (const char c : t.text) {
      const uint8_t* columns = glyph_of(c);
      for (int column = 0; column < 5; ++column)
        for (int row = 0; row < 7; ++row) {
          if ((columns[column] >> row & 1) == 0) continue;
          for (int py = 0; py < dot; ++py)
            for (int px = 0; px < dot; ++px)
              blend(x + column * dot + px, top + row * dot + py, t.colour, 1);
        }
      x += advance;
    }
  }

  const std::vector<uint8_t>& rgb() const { return rgb_; }

 private:
  void put(size_t at, Colour c, double opacity) {
    const auto mix = [&](uint8_t& to, uint8_t from) {
      to = static_cast<uint8_t>(std::lround(to + (from - to) * opacity));
    };
    mix(rgb_[at], c.r);
    mix(rgb_[at + 1], c.g);
    mix(rgb_[at + 2], c.b);
  }
  int width_, height_;
  std::vector<uint8_t> rgb_;
};

std::string hex(Colour c) {
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", c.r, c.g, c.b);
  return text;
}

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", v);
  return text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = 0;
    for (size_t k = 0; k < 3; ++k)
      v = v << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      out.push_back(k <= bytes.size() - i ? kDigits[v >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

}  // namespace

std::string png_bytes(int width, int height, const std::vector<uint8_t>& rgb) {
  std::string rows;
  const size_t stride = static_cast<size_t>(width) * 3;
  rows.reserve((stride + 1) * static_cast<size_t>(height));
  for (size_t y = 0; y < static_cast<size_t>(height); ++y) {
    // Filter 1: differences to the pixel at the left compress best of what costs nothing.
    rows.push_back(1);
    for (size_t i = 0; i < stride; ++i) {
      const uint8_t left = i >= 3 ? rgb[y * stride + i - 3] : 0;
      rows.push_back(static_cast<char>(rgb[y * stride + i] - left));
    }
  }
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  const int done = compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                             reinterpret_cast<const Bytef*>(rows.data()), rows.size(), 6);
  SM_ASSERT(done == Z_OK);
  packed.resize(size);
  std::string head;
  big_endian(head, static_cast<uint32_t>(width));
  big_endian(head, static_cast<uint32_t>(height));
  head += std::string("\x08\x02\x00\x00\x00", 5);
  std::string out("\x89PNG\r\n\x1A\n", 8);
  png_chunk(out, "IHDR", head);
  png_chunk(out, "IDAT", packed);
  png_chunk(out, "IEND", "");
  return out;
}

std::string png_of(const Scene& scene) {
  Raster raster(scene.width, scene.height, scene.background);
  for (const auto& r : scene.rectangles) raster.rectangle(r);
  for (const auto& i : scene.images) raster.image(i);
  for (const auto& line : scene.lines) {
    if (line.points.size() < 2) continue;
    if (line.filled) {
      raster.polygon(line);
      continue;
    }
    for (size_t i = 0; i + 1 < line.points.size(); ++i)
      raster.segment(line.points[i], line.points[i + 1], line.colour, line.width, line.opacity);
  }
  for (const auto& t : scene.texts) raster.text(t);
  return png_bytes(scene.width, scene.height, raster.rgb());
}

std::string svg_of(const Scene& scene) {
  const std::string size = "width=\"" + std::to_string(scene.width) + "\" height=\"" +
                           std::to_string(scene.height) + "\"";
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" " + size + " viewBox=\"0 0 " +
                    std::to_string(scene.width) + " " + std::to_string(scene.height) +
                    "\" font-family=\"system-ui, sans-serif\">\n<rect " + size + " fill=\"" +
                    hex(scene.background) + "\"/>\n";
  for (const auto& r : scene.rectangles)
    out += "<rect x=\"" + number(r.x) + "\" y=\"" + number(r.y) + "\" width=\"" + number(r.w) +
           "\" height=\"" + number(r.h) + "\" fill=\"" + hex(r.fill) + "\" opacity=\"" +
           number(r.opacity) + "\"/>\n";
  for (const auto& i : scene.images) {
    std::vector<uint8_t> rgb;
    for (const Colour c : i.pixels) rgb.insert(rgb.end(), {c.r, c.g, c.b});
    out += "<image x=\"" + number(i.x) + "\" y=\"" + number(i.y) + "\" width=\"" + number(i.w) +
           "\" height=\"" + number(i.h) +
           "\" preserveAspectRatio=\"none\" image-rendering=\"pixelated\" "
           "href=\"data:image/png;base64," +
           base64(png_bytes(i.columns, i.rows, rgb)) + "\"/>\n";
  }
  for (const auto& line : scene.lines) {
    if (line.points.size() < 2) continue;
    out += line.filled ? "<polygon points=\"" : "<polyline points=\"";
    for (const auto& [x, y] : line.points) out += number(x) + "," + number(y) + " ";
    out += line.filled ? "\" fill=\"" + hex(line.colour) + "\""
                       : "\" fill=\"none\" stroke=\"" + hex(line.colour) + "\" stroke-width=\"" +
                             number(line.width) + "\"";
    out += " opacity=\"" + number(line.opacity) + "\"/>\n";
  }
  for (const auto& t : scene.texts) {
    static constexpr const char* kAnchors[] = {"start", "middle", "end"};
    out += "<text x=\"" + number(t.x) + "\" y=\"" + number(t.y) + "\" font-size=\"" +
           std::to_string(t.size) + "\" fill=\"" + hex(t.colour) + "\" text-anchor=\"" +
           kAnchors[static_cast<int>(t.anchor)] + "\">" + escaped(t.text) + "</text>\n";
  }
  return out + "</svg>\n";
}

}  // namespace samplemind::audio
