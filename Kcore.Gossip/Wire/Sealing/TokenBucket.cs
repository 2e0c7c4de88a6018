namespace Kcore.Gossip.Wire.Sealing;

/// <summary>Lets <paramref name="burst"/> acts through at once and <paramref name="perSecond"/> on average.</summary>
internal sealed class TokenBucket(int burst, int perSecond)
{
    private double _tokens = burst;
    private TimeSpan _filledAt;

    /// <summary>Takes one token at the monotonic time <paramref name="now"/>, or says there is none.</summary>
    public bool TryTake(TimeSpan now)
    {
        if (now > _filledAt)
        {
            _tokens = Math.Min(burst, _tokens + ((now - _filledAt).TotalSeconds * perSecond));
            _filledAt = now;
        }

        if (_tokens < 1)
        {
            return false;
        }

        _tokens--;
        return true;
    }
}
