using System.Runtime.InteropServices;

namespace Kcore.Simulation.Engine;

/// <summary>One number over everything a run did, in order: equal for equal seeds, on every machine.</summary>
public sealed class TraceHash
{
    private const ulong Prime = 0x9e37_79b9_7f4a_7c15;

    public ulong Value { get; private set; } = 0xcbf2_9ce4_8422_2325;

    public void Add(ulong value)
    {
        ulong mixed = unchecked((Value ^ value) * Prime);
        Value = mixed ^ (mixed >> 32);
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        int whole = bytes.Length & ~7;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes[..whole]))
        {
            Add(word);
        }

        foreach (byte b in bytes[whole..])
        {
            Add(b);
        }

        Add((ulong)bytes.Length);
    }
}
