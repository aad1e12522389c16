// Drives a design that Yosys' write_cxxrtl made, as finnyaml/rtl/testbench/main.cpp drives one of Verilator, without stalls.
//
// usage: program FRAMES IN OUT     prints the cycles that it took, from the end of reset

#include "design.cc"
#include "design.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int RESET_CYCLES = 16;
constexpr std::uint64_t PATIENCE = 10'000'000;

template <std::size_t BITS> cxxrtl::value<BITS>& now(cxxrtl::value<BITS>& port) { return port; }
template <std::size_t BITS> cxxrtl::value<BITS>& now(cxxrtl::wire<BITS>& port) { return port.curr; }

template <class Port> bool up(Port& port) { return now(port).data[0] & 1; }
template <class Port> void set(Port& port, bool value) { now(port).data[0] = value; }

[[noreturn]] void fail(const char* message) {
    std::fprintf(stderr, "%s\n", message);
    std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) fail("usage: program FRAMES IN OUT");
    const std::uint64_t send = std::strtoull(argv[1], nullptr, 10) * INPUT_BEATS;
    const std::uint64_t receive = std::strtoull(argv[1], nullptr, 10) * OUTPUT_BEATS;
    std::FILE* in = std::fopen(argv[2], "rb");
    std::FILE* out = std::fopen(argv[3], "wb");
    if (!in || !out) fail("cannot open the files");

    cxxrtl_design::p_finn__design top;
    const auto half = [&top](bool clock) {
        set(top.p_ap__clk, clock);
        top.step();
    };
    set(top.p_ap__rst__n, false);
    for (int i = 0; i < RESET_CYCLES; ++i) {
        half(false);
        half(true);
    }
    set(top.p_ap__rst__n, true);
    set(top.p_m__axis__0__tready, true);

    std::uint64_t cycle = 0, moved = 0, sent = 0, received = 0;
    for (; received < receive; ++cycle) {
        if (!up(top.p_s__axis__0__tvalid) && sent < send) {
            std::array<unsigned char, sizeof(now(top.p_s__axis__0__tdata).data)> word{};
            if (std::fread(word.data(), 1, INPUT_BYTES, in) != INPUT_BYTES) fail("the input ends too early");
            std::memcpy(now(top.p_s__axis__0__tdata).data, word.data(), word.size());
            set(top.p_s__axis__0__tvalid, true);
        }
        half(false);
        const bool taken = up(top.p_s__axis__0__tvalid) && up(top.p_s__axis__0__tready);
        if (up(top.p_m__axis__0__tvalid)) {
            if (std::fwrite(now(top.p_m__axis__0__tdata).data, 1, OUTPUT_BYTES, out) != OUTPUT_BYTES) fail("cannot write");
            ++received;
            moved = cycle;
        }
        half(true);
        if (taken) {
            ++sent;
            set(top.p_s__axis__0__tvalid, false);
            moved = cycle;
        }
        if (cycle - moved > PATIENCE) fail("the design stands still");
    }
    std::fclose(in);
    if (std::fclose(out)) fail("cannot write");
    std::printf("%llu\n", static_cast<unsigned long long>(cycle));
    return 0;
}
