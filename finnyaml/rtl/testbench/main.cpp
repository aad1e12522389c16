// Drives a stitched design: words from a file go into s_axis_0, words from m_axis_0 go into a file.
//
// usage: program key=value ...
//   in, out, report      files: words to send, words received, what happened (lines of text, see `write_report`)
//   frames               frames to send, and to wait for
//   patience             cycles without a transfer at either end after which the design counts as stuck
//   every                cycles from the start of one frame to that of the next, at least
//   stall_in, stall_out  per cent of cycles in which there is no word to send, no room to receive; seed
//   depths               file of lines "<FIFO node> <depth>" for FIFOs whose depth is looked up
//   steady               1: frames keep coming in, from the start of the file again, and the simulation ends as soon as
//                        everything repeats (see `period`); after `frames` frames in any case. For FIFOs that tell.
//   edges                folder for the words that pass on each inner stream, one file <index>.bin each
//   wave                 FST file
//
// A word is the bytes of tdata, lowest first. A cycle is counted from the end of reset.

#include "Vdesign.h"
#include "Vdesign__Dpi.h"
#include "design.h"
#include "svdpi.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr int RESET_CYCLES = 16;
constexpr std::size_t BUFFER = 1 << 20;

[[noreturn]] void fail(const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "%%Error: %s\n", message.c_str());
    std::fflush(stderr);
    std::_Exit(4);
}

class File {
public:
    File(const std::string& path, const char* mode) : file_{std::fopen(path.c_str(), mode)}, path_{path} {
        if (!file_) fail("cannot open " + path);
        std::setvbuf(file_, nullptr, _IOFBF, BUFFER);
    }
    ~File() { close(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    void read(void* data, std::size_t bytes) {
        if (std::fread(data, 1, bytes, file_) != bytes) fail(path_ + " ends too early");
    }
    // Reads on from the start where the file has ended.
    void read_round(void* data, std::size_t bytes) {
        if (std::fread(data, 1, bytes, file_) == bytes) return;
        std::rewind(file_);
        read(data, bytes);
    }
    void write(const void* data, std::size_t bytes) {
        if (std::fwrite(data, 1, bytes, file_) != bytes) fail("cannot write " + path_);
    }
    void close() {
        if (!file_) return;
        const int failed = std::fclose(file_);
        file_ = nullptr;
        if (failed) fail("cannot write " + path_);
    }
    std::FILE* get() { return file_; }

private:
    std::FILE* file_;
    std::string path_;
};

class Options {
public:
    Options(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            const auto equals = argument.find('=');
            if (equals == std::string::npos) fail("not key=value: " + argument);
            values_[argument.substr(0, equals)] = argument.substr(equals + 1);
        }
    }
    std::string text(const std::string& key) const {
        const auto found = values_.find(key);
        return found == values_.end() ? std::string{} : found->second;
    }
    std::uint64_t number(const std::string& key) const {
        const std::string value = text(key);
        return value.empty() ? 0 : std::strtoull(value.c_str(), nullptr, 10);
    }

private:
    std::map<std::string, std::string> values_;
};

class Chance {
public:
    Chance(std::uint64_t percent, std::uint64_t seed)
        : limit_{percent * (std::uint64_t{1} << 32) / 100}, state_{(seed + 1) * 0x9E3779B97F4A7C15u | 1u} {}
    bool operator()() {
        if (!limit_) return false;
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ * 0x2545F4914F6CDD1Du >> 32) < limit_;
    }

private:
    std::uint64_t limit_;
    std::uint64_t state_;
};

struct Result {
    std::uint64_t cycles = 0;
    bool finished = false;
    std::vector<std::uint64_t> first_in, last_out;
    std::string broken;  // how the output broke the rules of AXI streams, where it did
    std::size_t period = 0;
};

// What FIFOs, in their order, hold at the end of a frame, and the least and the most that they held during it. input:
// where the sender is.
struct Levels {
    std::vector<std::string> nodes;
    std::vector<int> now, least, most;
    std::vector<std::uint64_t> input;

    bool operator==(const Levels& other) const { return now == other.now && input == other.input; }
};

std::vector<Levels> frames_seen;

std::map<std::string, int> depths;
std::vector<File*> edges;
std::FILE* report = nullptr;

void read_depths(const std::string& path) {
    std::ifstream file{path};
    if (!file) fail("cannot open " + path);
    std::string name;
    int depth = 0;
    while (file >> name >> depth) depths[name] = depth;
}

// After how many frames everything is as it was, at the end of the last frame and of the one before; 0 where it is not.
// What the layers hold follows from what passed between them, and when they do something does not depend on the data.
std::size_t period() {
    const auto last = frames_seen.rbegin();
    for (std::size_t frames = 1; frames + 1 < frames_seen.size(); ++frames) {
        if (last[0] == last[frames] && last[1] == last[frames + 1]) return frames;
    }
    return 0;
}

class Bench {
public:
    Bench(VerilatedContext& context, const std::string& wave) : context_{context}, top_{&context} {
        (void)wave;
#if VM_TRACE
        if (!wave.empty()) {
            context_.traceEverOn(true);
            top_.trace(&trace_, 99);
            trace_.open(wave.c_str());
        }
#endif
    }

    Result run(const Options& options) {
        File in{options.text("in"), "rb"}, out{options.text("out"), "wb"};
        const std::uint64_t frames = options.number("frames"), every = options.number("every"),
                            patience = options.number("patience"), seed = options.number("seed");
        const bool steady = options.number("steady");
        Chance stall_in{options.number("stall_in"), 2 * seed}, stall_out{options.number("stall_out"), 2 * seed + 1};
        reset();

        Result result;
        std::uint64_t cycle = 0, moved = 0, sent = 0, received = 0;  // the last two in beats of the current frame
        bool held = false;                                           // a word was offered to us and not yet taken
        std::array<unsigned char, OUTPUT_BYTES> word{};
        for (; result.last_out.size() < frames && !result.period; ++cycle) {
            if (!top_.s_axis_0_tvalid && (steady || sent || result.first_in.size() < frames)) {
                const bool early = !sent && every && !result.first_in.empty() && cycle < result.first_in.back() + every;
                if (early) {
                    moved = cycle;
                } else if (!stall_in()) {
                    in.read_round(&top_.s_axis_0_tdata, INPUT_BYTES);
                    top_.s_axis_0_tvalid = 1;
                }
            }
            top_.m_axis_0_tready = !stall_out();
            half(0);
            if (held && !top_.m_axis_0_tvalid) {
                result.broken = "tvalid fell before the word was taken";
                break;
            }
            if (held && std::memcmp(word.data(), &top_.m_axis_0_tdata, OUTPUT_BYTES)) {
                result.broken = "tdata changed before the word was taken";
                break;
            }
            const bool taken = top_.s_axis_0_tvalid && top_.s_axis_0_tready;
            const bool given = top_.m_axis_0_tvalid && top_.m_axis_0_tready;
            held = top_.m_axis_0_tvalid && !given;
            if (held) std::memcpy(word.data(), &top_.m_axis_0_tdata, OUTPUT_BYTES);
            if (given) {
                out.write(&top_.m_axis_0_tdata, OUTPUT_BYTES);
                if (++received == OUTPUT_BEATS) {
                    result.last_out.push_back(cycle);
                    received = 0;
                    top_.look = steady;
                    const auto in_flight = result.first_in.size() - result.last_out.size();
                    const auto entered = cycle - result.first_in.back();
                    if (steady) frames_seen.push_back({{}, {}, {}, {}, {in_flight, entered, sent, top_.s_axis_0_tvalid}});
                }
            }
            half(1);
            if (top_.look) result.period = period();
            top_.look = 0;
            if (taken) {
                if (!sent) result.first_in.push_back(cycle);
                if (++sent == INPUT_BEATS) sent = 0;
                top_.s_axis_0_tvalid = 0;
                std::memset(&top_.s_axis_0_tdata, 0xA5, INPUT_BYTES);  // what comes without tvalid must not matter
            }
            if (taken || given) {
                moved = cycle;
            } else if (cycle - moved > patience) {
                break;
            }
        }
        result.cycles = cycle;
        result.finished = result.last_out.size() == frames || result.period;
        out.close();
        return result;
    }

    void finish() {
        top_.final();
#if VM_TRACE
        trace_.close();
#endif
    }

private:
    void reset() {
        top_.ap_rst_n = 0;
        top_.s_axis_0_tvalid = 0;
        top_.m_axis_0_tready = 0;
        top_.look = 0;
        for (int i = 0; i < RESET_CYCLES; ++i) {
            half(0);
            half(1);
        }
        top_.ap_rst_n = 1;
    }

    void half(int clock) {
        top_.ap_clk = clock;
        top_.eval();
#if VM_TRACE
        if (trace_.isOpen()) trace_.dump(context_.time());
#endif
        context_.timeInc(HALF_PERIOD_PS);
    }

    VerilatedContext& context_;
    Vdesign top_;
#if VM_TRACE
    VerilatedFstC trace_;
#endif
};

void write_report(const Result& result) {
    std::fprintf(report, "cycles %llu\n", static_cast<unsigned long long>(result.cycles));
    std::fprintf(report, "finished %d\n", result.finished ? 1 : 0);
    for (const auto cycle : result.first_in) std::fprintf(report, "in %llu\n", static_cast<unsigned long long>(cycle));
    for (const auto cycle : result.last_out) std::fprintf(report, "out %llu\n", static_cast<unsigned long long>(cycle));
    std::fprintf(report, "period %zu\n", result.period);
    for (std::size_t fifo = 0; !frames_seen.empty() && fifo < frames_seen.back().nodes.size(); ++fifo) {
        int least = frames_seen.back().least[fifo], most = frames_seen.back().most[fifo];
        for (auto frame = frames_seen.end() - std::max<std::size_t>(result.period, 1); frame != frames_seen.end(); ++frame) {
            least = std::min(least, frame->least[fifo]);
            most = std::max(most, frame->most[fifo]);
        }
        std::fprintf(report, "swing %s %d\n", frames_seen.back().nodes[fifo].c_str(), most - least);
    }
    if (!result.broken.empty()) std::fprintf(report, "broken %s\n", result.broken.c_str());
}

}  // namespace

// What the simulation top and the FIFOs call (see sim_top.sv and fifo_dynamic.sv).

void finnyaml_fill(const char* fifo, int fill) { std::fprintf(report, "fill %s %d\n", fifo, fill); }

void finnyaml_end(const char* edge, svBit valid, svBit ready) {
    std::fprintf(report, "end %s %d %d\n", edge, static_cast<int>(valid), static_cast<int>(ready));
}

// The FIFO node with a depth that is `path`, or has it inside.
std::map<std::string, int>::const_iterator node_at(const std::string& path) {
    for (std::size_t start = 0; start < path.size();) {
        const auto end = std::min(path.find('.', start), path.size());
        const auto found = depths.find(path.substr(start, end - start));
        if (found != depths.end()) return found;
        start = end + 1;
    }
    return depths.end();
}

// `depth` where none was given.
extern "C" int finnyaml_fifo_depth(const char* path, int depth) {
    const auto found = node_at(path);
    return found == depths.end() ? depth : found->second;
}

extern "C" void finnyaml_fifo_level(const char* path, int now, int least, int most) {
    const auto found = node_at(path);
    Levels& levels = frames_seen.back();
    levels.nodes.push_back(found == depths.end() ? path : found->first);
    levels.now.push_back(now);
    levels.least.push_back(least);
    levels.most.push_back(most);
}

#define FINNYAML_BEAT(width) \
    void finnyaml_beat_##width(int edge, const svBitVecVal* word) { edges[edge]->write(word, ((width) + 7) / 8); }
FINNYAML_EDGE_WIDTHS(FINNYAML_BEAT)

// The runtime calls these instead of its own, which abort.

void vl_stop(const char* file, int line, const char* where) VL_MT_UNSAFE {
    fail(std::string{file} + ":" + std::to_string(line) + ": " + where + ": a check in the sources failed");
}

void vl_finish(const char* file, int line, const char* where) VL_MT_UNSAFE {
    fail(std::string{file} + ":" + std::to_string(line) + ": " + where + ": the sources ended the simulation");
}

void vl_fatal(const char* file, int line, const char* where, const char* message) VL_MT_UNSAFE {
    fail(std::string{file} + ":" + std::to_string(line) + ": " + where + ": " + message);
}

int main(int argc, char** argv) {
    const Options options{argc, argv};
    if (!options.text("depths").empty()) read_depths(options.text("depths"));
    for (int i = 0; i < EDGES; ++i) {
        edges.push_back(new File{options.text("edges") + "/" + std::to_string(i) + ".bin", "wb"});
    }
    File report_file{options.text("report"), "w"};
    report = report_file.get();
    VerilatedContext context;
    Bench bench{context, options.text("wave")};
    const Result result = bench.run(options);
    bench.finish();
    write_report(result);
    for (File* edge : edges) edge->close();
    report_file.close();
    return 0;
}
