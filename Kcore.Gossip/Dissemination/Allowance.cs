namespace Kcore.Gossip;

/// <summary>
/// Something that may be spent at a steady rate, with a burst. It may be overdrawn by the last spending, because sizes
/// are known only afterwards; the debt is earned back before the next.
/// </summary>
internal sealed class Allowance
{
    private readonly double _perSecond;
    private readonly double _burst;
    private double _left;
    private TimeSpan _at;

    public Allowance(double perSecond, double burst, TimeSpan now)
    {
        (_perSecond, _burst) = (perSecond, burst);
        (_left, _at) = (burst, now);
    }

    /// <summary>What is left, as a part of the burst; zero or negative when there is nothing.</summary>
    public double Level(TimeSpan now)
    {
        if (now > _at)
        {
            _left = Math.Min(_burst, _left + ((now - _at).TotalSeconds * _perSecond));
            _at = now;
        }

        return _left / _burst;
    }

    public void Spend(double amount, TimeSpan now)
    {
        Level(now);
        _left -= amount;
    }

    /// <summary>Spends if anything is left.</summary>
    public bool TrySpend(double amount, TimeSpan now)
    {
        if (Level(now) <= 0)
        {
            return false;
        }

        _left -= amount;
        return true;
    }
}
