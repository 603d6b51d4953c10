// samplemind plot: pictures of one sound.
#include <memory>

#include "audio/picture.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/commands.h"

namespace samplemind::cli {

namespace {

struct PlotFlags {
  std::string file;
  std::string what;
  std::string out;
  int width = 1400;
  bool json = false;
};

Result<std::vector<audio::Panel>> panels_from(const std::string& list) {
  std::vector<audio::Panel> panels;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (comma > at) {
      SM_TRY(const audio::Panel panel, audio::panel_from(list.substr(at, comma - at)));
      panels.push_back(panel);
    }
    at = comma + 1;
  }
  return panels;
}

Result<int> run_plot(const PlotFlags& flags) {
  const InterruptGuard interrupts;
  audio::PictureOptions options;
  options.width_px = flags.width;
  options.cancel = &InterruptGuard::flag();
  SM_TRY(options.panels, panels_from(flags.what));
  const fs::path sound = flags.file;
  const fs::path out =
      flags.out.empty() ? fs::path(sound.stem().string() + ".png") : fs::path(flags.out);
  const std::string ending = out.extension().string();
  if (ending != ".png" && ending != ".svg")
    return Error(ErrorCode::kInvalidArgument,
                 out.string() + ": a picture's name ends in .png or .svg",
                 "samplemind plot " + flags.file + " -o picture.png");
  std::error_code same;
  if (fs::equivalent(sound, out, same))
    return Error(ErrorCode::kInvalidArgument, out.string() + " is the sound itself");
  SM_TRY(const std::string picture,
         audio::draw_picture(
             sound, ending == ".svg" ? audio::PictureFormat::kSvg : audio::PictureFormat::kPng,
             options));
  SM_CHECK_OK(write_file_atomic(out, picture, 0644));
  if (flags.json) {
    std::string line;
    JsonWriter(line)
        .begin_object()
        .field("path", flags.file)
        .field("picture", out.string())
        .field("bytes", picture.size())
        .end_object();
    print(line + "\n");
  } else {
    print(printable(out.string()) + "\n");
  }
  return 0;
}

}  // namespace

Run add_plot(Arguments command, Context& /*context*/) {
  auto flags = std::make_shared<PlotFlags>();
  command.add_option("FILE", flags->file, "A sound file").required();
  command.add_option("--what", flags->what,
                     "Panels from above, separated by commas: waveform, mel, log, chroma, "
                     "tempogram, beats (default: all)");
  command.add_option("-o,--out", flags->out,
                     "The picture, .png or .svg (default: the sound's name with .png, here)");
  command.add_option("--width", flags->width, "In pixels, 400 to 4000").capture_default();
  command.add_flag("--json", flags->json, "One object: path, picture, bytes");
  return [flags] { return run_plot(*flags); };
}

}  // namespace samplemind::cli
