// Stands in for lz4 in Verilator's waveform writer: a small greedy compressor that writes LZ4 blocks.
//
// A block is a row of sequences: a token (high four bits: literals, low four: length of the match less 4, 15 means that
// bytes to be added follow), the literals, the distance of the match in two bytes, lowest first. The last sequence has
// literals only, at least five bytes; and no match starts within the last twelve.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

namespace lz4_block {

inline std::uint32_t four(const char* at) {
    std::uint32_t value;
    std::memcpy(&value, at, 4);
    return value;
}

inline char* length(char* to, std::size_t rest) {
    for (; rest >= 255; rest -= 255) *to++ = static_cast<char>(255);
    *to++ = static_cast<char>(rest);
    return to;
}

// `match` is 0 for the last sequence.
inline char* sequence(char* to, const char* literals, std::size_t count, std::size_t match, std::size_t distance) {
    const std::size_t more = match ? match - 4 : 0;
    *to++ = static_cast<char>((count < 15 ? count : 15) << 4 | (more < 15 ? more : 15));
    if (count >= 15) to = length(to, count - 15);
    std::memcpy(to, literals, count);
    to += count;
    if (!match) return to;
    *to++ = static_cast<char>(distance & 255);
    *to++ = static_cast<char>(distance >> 8);
    return more >= 15 ? length(to, more - 15) : to;
}

}  // namespace lz4_block

inline int LZ4_compress_default(const char* from, char* to, int size, int) {
    constexpr int TABLE_BITS = 12, NO_MATCH_IN = 12, LITERALS_AT_END = 5, FARTHEST = 65535;
    std::vector<int> last(std::size_t{1} << TABLE_BITS, -1);
    char* const start = to;
    int literals = 0;
    for (int at = 0; at + NO_MATCH_IN < size;) {
        const std::uint32_t value = lz4_block::four(from + at);
        int& entry = last[value * 2654435761u >> (32 - TABLE_BITS)];
        const int candidate = entry;
        entry = at;
        if (candidate < 0 || at - candidate > FARTHEST || lz4_block::four(from + candidate) != value) {
            ++at;
            continue;
        }
        int match = 4;
        while (at + match < size - LITERALS_AT_END && from[candidate + match] == from[at + match]) ++match;
        to = lz4_block::sequence(to, from + literals, at - literals, match, at - candidate);
        at += match;
        literals = at;
    }
    return static_cast<int>(lz4_block::sequence(to, from + literals, size - literals, 0, 0) - start);
}
