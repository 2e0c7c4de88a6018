using Kcore.Fuzz.Mutators;

namespace Kcore.Fuzz;

/// <summary>One reader of bytes from outside. Used by one thread.</summary>
/// <param name="Name">As shown, and the folder of its corpus.</param>
/// <param name="Samples">Valid inputs, made by the real encoders.</param>
/// <param name="Read">Reads an input; null when it is refused. What it allocates is measured.</param>
internal sealed record FuzzTarget(string Name, IMutator Mutator, IReadOnlyList<byte[]> Samples, Func<byte[], object?> Read)
{
    /// <summary>The only exceptions that may come out of <see cref="Read"/>; they count as a refusal.</summary>
    public Func<Exception, bool> IsRefusal { get; init; } = static _ => false;

    /// <summary>
    /// The encoder, where there is one: what was read must survive being written and read once more, and a sample must be
    /// written as it was.
    /// </summary>
    public Func<object, byte[]>? Write { get; init; }

    /// <summary>Called before each input, for what reading needs; not measured.</summary>
    public Action Prepare { get; init; } = static () => { };

    /// <summary>Bytes that reading may allocate whatever the input.</summary>
    public int AllocationBase { get; init; } = 64 * 1024;

    /// <summary>Bytes that reading may allocate for each byte of input.</summary>
    public int AllocationPerByte { get; init; } = 64;

    /// <summary>One case of this target stands for so many of the usual, because it costs as much.</summary>
    public int Cost { get; init; } = 1;

    public long AllocationMax(int inputLength) => AllocationBase + ((long)AllocationPerByte * inputLength);
}
