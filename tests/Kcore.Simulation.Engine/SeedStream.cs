using System.Buffers.Binary;
using System.Numerics;

namespace Kcore.Simulation.Engine;

/// <summary>What a stream of random numbers is for. One purpose more does not shift the others.</summary>
public enum StreamPurpose
{
    Identity = 1,
    Core = 2,
    Network = 3,
    Plan = 4,
    Faults = 5,
    Workload = 6,
}

/// <summary>
/// Random numbers from a seed, a purpose and an index: xoshiro256** (Blackman, Vigna, 2018) seeded by SplitMix64. The
/// same on every platform and runtime, which <see cref="Random"/> promises for 31-bit seeds only.
/// </summary>
public sealed class SeedStream : Random
{
    private ulong _a;
    private ulong _b;
    private ulong _c;
    private ulong _d;

    public SeedStream(ulong seed, StreamPurpose purpose, int index = 0)
    {
        ulong state = unchecked((seed * 0x9e37_79b9_7f4a_7c15) ^ ((ulong)purpose << 56) ^ ((ulong)(uint)index << 16));
        _a = SplitMix(ref state);
        _b = SplitMix(ref state);
        _c = SplitMix(ref state);
        _d = SplitMix(ref state);
    }

    public ulong NextUInt64()
    {
        unchecked
        {
            ulong result = BitOperations.RotateLeft(_b * 5, 7) * 9;
            ulong t = _b << 17;
            _c ^= _a;
            _d ^= _b;
            _b ^= _c;
            _a ^= _d;
            _c ^= t;
            _d = BitOperations.RotateLeft(_d, 45);
            return result;
        }
    }

    /// <summary>True with the given probability.</summary>
    public bool Chance(double probability) => NextDouble() < probability;

    /// <summary>Uniform in [from, to).</summary>
    public TimeSpan Between(TimeSpan from, TimeSpan to) => from + TimeSpan.FromTicks((long)((to - from).Ticks * NextDouble()));

    /// <summary>Exponentially distributed.</summary>
    public TimeSpan Exponential(TimeSpan mean) => TimeSpan.FromTicks((long)(-mean.Ticks * Math.Log(1 - NextDouble())));

    public override int Next() => (int)(NextUInt64() >> 33) is var value && value == int.MaxValue ? int.MaxValue - 1 : value;

    public override int Next(int maxValue) => Next(0, maxValue);

    public override int Next(int minValue, int maxValue) => (int)NextInt64(minValue, maxValue);

    public override long NextInt64() => (long)(NextUInt64() >> 1) is var value && value == long.MaxValue ? long.MaxValue - 1 : value;

    public override long NextInt64(long maxValue) => NextInt64(0, maxValue);

    public override long NextInt64(long minValue, long maxValue)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minValue, maxValue);
        ulong range = unchecked((ulong)(maxValue - minValue));
        // Multiply and shift (Lemire 2019) without the rejection step: the bias is below 2^-32 for the ranges used here.
        return unchecked(minValue + (long)Math.BigMul(NextUInt64(), range, out _));
    }

    public override double NextDouble() => (NextUInt64() >> 11) * (1.0 / (1UL << 53));

    public override float NextSingle() => (NextUInt64() >> 40) * (1.0f / (1 << 24));

    public override void NextBytes(byte[] buffer) => NextBytes(buffer.AsSpan());

    public override void NextBytes(Span<byte> buffer)
    {
        Span<byte> last = stackalloc byte[8];
        while (buffer.Length > 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(last, NextUInt64());
            int taken = Math.Min(8, buffer.Length);
            last[..taken].CopyTo(buffer);
            buffer = buffer[taken..];
        }
    }

    protected override double Sample() => NextDouble();

    private static ulong SplitMix(ref ulong state)
    {
        unchecked
        {
            ulong z = state += 0x9e37_79b9_7f4a_7c15;
            z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
            z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
            return z ^ (z >> 31);
        }
    }
}
