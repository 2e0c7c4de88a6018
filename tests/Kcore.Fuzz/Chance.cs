using System.Numerics;

namespace Kcore.Fuzz;

/// <summary>
/// xoshiro256** (Blackman, Vigna 2018), seeded through SplitMix64. The runtime's seeded generator costs a microsecond to
/// make, which is more than many cases take; and its sequence is not ours to keep.
/// </summary>
internal sealed class Chance
{
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;

    public Chance(ulong seed)
    {
        _a = Mix(ref seed);
        _b = Mix(ref seed);
        _c = Mix(ref seed);
        _d = Mix(ref seed);
    }

    public ulong NextUInt64()
    {
        ulong result = BitOperations.RotateLeft(_b * 5, 7) * 9;
        ulong shifted = _b << 17;
        _c ^= _a;
        _d ^= _b;
        _b ^= _c;
        _a ^= _d;
        _c ^= shifted;
        _d = BitOperations.RotateLeft(_d, 45);
        return result;
    }

    /// <summary>From 0 to one less than <paramref name="bound"/>, which is positive.</summary>
    public int Next(int bound) => (int)(((UInt128)NextUInt64() * (ulong)bound) >> 64);

    public int Next(int from, int bound) => from + Next(bound - from);

    public bool OneIn(int count) => Next(count) == 0;

    public byte NextByte() => (byte)NextUInt64();

    public T Of<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    public void Fill(Span<byte> bytes)
    {
        foreach (ref byte value in bytes)
        {
            value = NextByte();
        }
    }

    private static ulong Mix(ref ulong state)
    {
        ulong z = state += 0x9e37_79b9_7f4a_7c15;
        z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
        return z ^ (z >> 31);
    }
}
