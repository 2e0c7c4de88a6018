using System.Diagnostics;
using System.Globalization;

namespace Kcore.Fuzz;

/// <summary>What became of one target.</summary>
internal sealed record FuzzResult(string Target, long Cases, long Accepted, int Shapes, long AllocatedMax, TimeSpan Slowest, TimeSpan Took, string? Failure);

/// <summary>
/// Feeds one target. Inputs whose outcome is new – another refusal, another kind or size of value – join the valid ones as
/// material for the next, so that mutations gather. The same seed gives the same inputs.
/// </summary>
internal sealed class Fuzzer(FuzzTarget target, ulong seed)
{
    private const int PoolMax = 1024;

    /// <summary>
    /// Far beyond any input's due even on a busy machine; below it speed is a matter for the table, not for the verdict.
    /// </summary>
    private static readonly TimeSpan CaseTimeMax = TimeSpan.FromSeconds(2);

    private readonly List<byte[]> _pool = [.. target.Samples];
    private readonly HashSet<ulong> _shapes = [];
    private long _accepted;
    private long _allocatedMax;
    private TimeSpan _slowest;
    private long _caseStart;
    private byte[] _current = [];

    /// <summary>The input being read and since when; for whoever watches for one that never ends.</summary>
    public (byte[] Input, TimeSpan Since) Current =>
        (Volatile.Read(ref _current), Volatile.Read(ref _caseStart) is var start && start == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(start));

    public string Name => target.Name;

    /// <summary>Runs the samples, the corpus and then <paramref name="cases"/> mutations, or as many as fit the time.</summary>
    public FuzzResult Run(long cases, TimeSpan timeMax)
    {
        long start = Stopwatch.GetTimestamp();
        long done = 0;
        string? failure = null;
        try
        {
            foreach (byte[] sample in target.Samples)
            {
                CheckSample(sample);
            }

            foreach (byte[] found in Corpus.Of(target.Name))
            {
                Try(found);
                _pool.Add(found);
                done++;
            }

            ulong stream = seed ^ Hash(target.Name);
            for (; done < cases && ((done & 0xff) != 0 || Stopwatch.GetElapsedTime(start) < timeMax); done++)
            {
                var chance = new Chance(unchecked(stream + ((ulong)done * 0x9e37_79b9_7f4a_7c15)));
                Try(target.Mutator.Mutate(Material(chance), Material(chance), chance));
            }
        }
        catch (FuzzFailureException found)
        {
            byte[] small = Minimize(found.Input);
            failure = $"{found.Message}\n    seed {seed}, case {done}, {found.Input.Length} bytes; smallest that fails alike, for Corpus/{target.Name}/:\n    {Convert.ToHexStringLower(small)}";
        }

        Volatile.Write(ref _caseStart, 0);
        return new FuzzResult(target.Name, done, _accepted, _shapes.Count, _allocatedMax, _slowest, Stopwatch.GetElapsedTime(start), failure);
    }

    // Half of the time from the start: what gathered is often far from anything valid.
    private byte[] Material(Chance chance) => chance.Of(chance.OneIn(2) ? target.Samples : _pool);

    private void CheckSample(byte[] sample)
    {
        // Twice, so that what is made once for all inputs is not charged to one.
        for (int i = 0; i < 2; i++)
        {
            object value = ReadGuarded(sample, isMeasured: false, out _)
                ?? throw new FuzzFailureException("A valid input is refused.", sample);
            if (target.Write is { } write && !write(value).AsSpan().SequenceEqual(sample))
            {
                throw new FuzzFailureException("A valid input is not written as it was read.", sample);
            }
        }
    }

    private void Try(byte[] input)
    {
        object? value = ReadGuarded(input, isMeasured: true, out ulong shape);
        if (value is not null)
        {
            _accepted++;
            if (target.Write is { } write)
            {
                CheckStable(input, value, write);
            }
        }

        if (_pool.Count < PoolMax && _shapes.Add(shape))
        {
            _pool.Add(input);
        }
    }

    private void CheckStable(byte[] input, object value, Func<object, byte[]> write)
    {
        byte[] once = write(value);
        object again = ReadGuarded(once, isMeasured: false, out _)
            ?? throw new FuzzFailureException($"What was read is refused after it was written: {Convert.ToHexStringLower(once)}", input);
        byte[] twice = write(again);
        if (!once.AsSpan().SequenceEqual(twice))
        {
            throw new FuzzFailureException(
                $"Written and read again it is another: {Convert.ToHexStringLower(once)} and {Convert.ToHexStringLower(twice)}",
                input);
        }
    }

    private object? ReadGuarded(byte[] input, bool isMeasured, out ulong shape)
    {
        object? value = null;
        target.Prepare();
        Volatile.Write(ref _current, input);
        long start = Stopwatch.GetTimestamp();
        Volatile.Write(ref _caseStart, start);
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            value = target.Read(input);
            shape = value is null ? 1 : Hash(value.GetType().Name) + ((ulong)input.Length / 8);
        }
        catch (Exception refusal) when (target.IsRefusal(refusal))
        {
            shape = Hash(refusal.Message);
        }
        catch (Exception other) when (other is not FuzzFailureException)
        {
            throw new FuzzFailureException($"{other.GetType().Name}: {other.Message} {FirstFrames(other)}", input);
        }

        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        if (isMeasured)
        {
            _allocatedMax = Math.Max(_allocatedMax, allocated);
            _slowest = took > _slowest ? took : _slowest;
            if (allocated > target.AllocationMax(input.Length))
            {
                throw new FuzzFailureException($"{input.Length} bytes made it allocate {allocated}, at most {target.AllocationMax(input.Length)} are allowed.", input);
            }

            if (took > CaseTimeMax)
            {
                throw new FuzzFailureException(string.Create(CultureInfo.InvariantCulture, $"{input.Length} bytes took {took.TotalSeconds:0.0} s."), input);
            }
        }

        return value;
    }

    // Takes out ever smaller pieces as long as it still fails.
    private byte[] Minimize(byte[] input)
    {
        for (int size = Math.Max(1, input.Length / 2); size > 0; size /= 2)
        {
            for (int at = 0; at + size <= input.Length;)
            {
                byte[] less = [.. input[..at], .. input[(at + size)..]];
                if (Fails(less))
                {
                    input = less;
                }
                else
                {
                    at += size;
                }
            }
        }

        return input;
    }

    private bool Fails(byte[] input)
    {
        try
        {
            object? value = ReadGuarded(input, isMeasured: true, out _);
            if (value is not null && target.Write is { } write)
            {
                CheckStable(input, value, write);
            }

            return false;
        }
        catch (FuzzFailureException)
        {
            return true;
        }
    }

    private static string FirstFrames(Exception exception) =>
        string.Join(" < ", (exception.StackTrace ?? "").Split('\n').Take(4).Select(line => line.Trim()));

    // Numbers in a message vary without meaning anything new, and its end often repeats the input.
    private static ulong Hash(string text)
    {
        ulong hash = 0xcbf2_9ce4_8422_2325;
        foreach (char c in text.AsSpan(0, Math.Min(text.Length, 48)))
        {
            if (!char.IsAsciiHexDigit(c))
            {
                hash = unchecked((hash ^ c) * 0x0000_0100_0000_01b3);
            }
        }

        return hash;
    }
}
