namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// Remembers which of the last 2,048 counters were used (RFC 6479: a ring of words in which advancing clears whole
/// words and never shifts). One word more than the window needs is kept, so that the word being filled never holds
/// bits of counters still inside the window.
/// </summary>
internal sealed class ReplayWindow
{
    public const int Size = 2_048;

    private const int WordBits = 64;
    private const int Words = (Size / WordBits) + 1;

    private readonly ulong[] _used = new ulong[Words];
    private ulong _highest;

    /// <param name="used">Every counter up to this one is taken as used: what was sent before can't be told from a replay.</param>
    public ReplayWindow(ulong used = 0)
    {
        _highest = used;
        if (used > 0)
        {
            Array.Fill(_used, ulong.MaxValue);
            _used[WordOf(used)] = ulong.MaxValue >> (WordBits - 1 - (int)(used % WordBits));
        }
    }

    /// <summary>The largest counter used.</summary>
    public ulong Highest => _highest;

    /// <summary>Tells whether a counter may still be used; changes nothing, as the datagram is not authentic yet.</summary>
    public DropReason Check(ulong counter)
    {
        if (counter > _highest)
        {
            return DropReason.None;
        }

        // Counters start at one, so zero is always behind the window or forged.
        if (counter == 0 || _highest - counter >= Size)
        {
            return DropReason.TooOld;
        }

        return (_used[WordOf(counter)] & BitOf(counter)) != 0 ? DropReason.Replayed : DropReason.None;
    }

    /// <summary>Marks a counter that passed <see cref="Check"/> and authentication.</summary>
    public void Mark(ulong counter)
    {
        if (counter > _highest)
        {
            ulong words = Math.Min((counter / WordBits) - (_highest / WordBits), Words);
            for (ulong i = 0; i < words; i++)
            {
                _used[((counter / WordBits) - i) % Words] = 0;
            }

            _highest = counter;
        }

        _used[WordOf(counter)] |= BitOf(counter);
    }

    private static int WordOf(ulong counter) => (int)(counter / WordBits % Words);

    private static ulong BitOf(ulong counter) => 1UL << (int)(counter % WordBits);
}
