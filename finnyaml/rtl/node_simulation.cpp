// Drives one module with any number of AXI streams, in the rhythm of FINN's own simulator: what is set becomes visible
// after the rising edge, a stream starts one cycle after the run does, and one more cycle tells that it has ended.
//
// usage: program <folder> <patience> [<stream>=<words>]...
//   folder     has <stream>.in with the words of every stream that goes in; <stream>.out and report are written there
//   patience   cycles that a stream that comes out may be silent
//   words      how many to send or to wait for; none for streams that are not named
//
// A word is the bytes of tdata, lowest first.

#include "Vdesign.h"
#include "streams.h"
#include "verilated.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr int RESET_CYCLES = 17;

[[noreturn]] void fail(const std::string& message) {
    std::fflush(stdout);
    std::fprintf(stderr, "%%Error: %s\n", message.c_str());
    std::fflush(stderr);
    std::_Exit(4);
}

std::FILE* opened(const std::string& path, const char* mode) {
    std::FILE* file = std::fopen(path.c_str(), mode);
    if (!file) fail("cannot open " + path);
    return file;
}

struct Stream {
    Stream(const char* name, bool input, std::size_t bytes, void* data, CData* valid, CData* ready)
        : name{name}, input{input}, bytes{bytes}, data{data}, valid{valid}, ready{ready} {}

    const char* name;
    bool input;
    std::size_t bytes;
    void* data;
    CData* valid;
    CData* ready;
    std::uint64_t words = 0, moved = 0, silent = 0;
    std::FILE* file = nullptr;
    bool done = false;

    void open(const std::string& folder) {
        if (words) file = opened(folder + "/" + name + (input ? ".in" : ".out"), input ? "rb" : "wb");
    }
    // Called with the signals as they are before the edge; says whether a word moves.
    bool moves() const { return *valid && *ready; }
    // Called after the edge.
    void step(bool moves, const unsigned char* word) { input ? send(moves) : receive(moves, word); }

private:
    std::uint64_t sent = 0;

    void send(bool moves) {
        if (moves) ++moved;
        if (*valid && !moves) return;
        if (sent < words) {
            if (std::fread(data, 1, bytes, file) != bytes) fail(std::string{name} + ": too few words");
            ++sent;
            *valid = 1;
        } else if (*valid) {
            *valid = 0;
            std::memset(data, 0, bytes);
        } else {
            done = true;
        }
    }
    void receive(bool moves, const unsigned char* word) {
        if (*ready) {
            if (!moves) return;
            if (std::fwrite(word, 1, bytes, file) != bytes) fail(std::string{name} + ": cannot be written");
            silent = 0;
            if (++moved == words) *ready = 0;
        } else if (moved < words) {
            *ready = 1;
        } else {
            done = true;
        }
    }
};

void cycle(Vdesign& top) {
    top.ap_clk = 1;
    top.eval();
}

void settle(Vdesign& top) {
    top.ap_clk = 0;
    top.eval();
}

}  // namespace

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
    if (argc < 3) fail("too few arguments");
    const std::string folder = argv[1];
    const std::uint64_t patience = std::strtoull(argv[2], nullptr, 10);
    VerilatedContext context;
    Vdesign top{&context};
    std::vector<Stream> streams = {STREAMS(top)};
    for (auto& stream : streams) {
        for (int i = 3; i < argc; ++i) {
            const std::string argument = argv[i], key = std::string{stream.name} + "=";
            if (argument.compare(0, key.size(), key) == 0) {
                stream.words = std::strtoull(argument.c_str() + key.size(), nullptr, 10);
            }
        }
        stream.open(folder);
        *(stream.input ? stream.valid : stream.ready) = 0;
    }

    top.ap_rst_n = 0;
    for (int i = 0; i < RESET_CYCLES; ++i) {
        settle(top);
        cycle(top);
    }
    top.ap_rst_n = 1;
    settle(top);
    cycle(top);

    std::uint64_t cycles = 0;
    bool all_done = false, silent = false;
    std::vector<char> moves(streams.size());
    std::vector<std::vector<unsigned char>> words(streams.size());
    for (std::size_t i = 0; i < streams.size(); ++i) words[i].resize(streams[i].bytes);
    while (!all_done && !silent) {
        settle(top);
        for (std::size_t i = 0; i < streams.size(); ++i) {
            moves[i] = streams[i].moves();
            if (moves[i] && !streams[i].input) std::memcpy(words[i].data(), streams[i].data, streams[i].bytes);
        }
        cycle(top);
        ++cycles;
        all_done = true;
        for (std::size_t i = 0; i < streams.size(); ++i) {
            if (!streams[i].done) streams[i].step(moves[i], words[i].data());
            ++streams[i].silent;
            all_done = all_done && streams[i].done;
            silent = silent || (!streams[i].input && streams[i].words && streams[i].silent >= patience);
        }
    }
    top.final();
    std::FILE* report = opened(folder + "/report", "w");
    std::fprintf(report, "cycles %llu\n", static_cast<unsigned long long>(cycles));
    std::fprintf(report, "finished %d\n", all_done ? 1 : 0);
    for (auto& stream : streams) {
        std::fprintf(report, "%s %llu\n", stream.name, static_cast<unsigned long long>(stream.moved));
        if (stream.file && std::fclose(stream.file)) fail(std::string{stream.name} + ": cannot be written");
    }
    std::fclose(report);
    return 0;
}
