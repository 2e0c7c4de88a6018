namespace Kcore.Gossip;

/// <summary>
/// How much this node trusts its own probes (Lifeguard, Dadgar et al. 2017, §IV.A), and how long an answer takes here.
/// Whoever is slow to hear answers probes slower instead of accusing others.
/// </summary>
internal sealed class LocalHealth(GossipOptions options)
{
    /// <summary>Round trips below this are not told apart: timers are no finer.</summary>
    private static readonly TimeSpan RoundTripMin = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan RoundTripMax = TimeSpan.FromSeconds(2);
    private TimeSpan _smoothed;
    private TimeSpan _deviation;

    /// <summary>0 when well.</summary>
    public int Score { get; private set; }

    /// <summary>
    /// Time that nearly every answer takes no longer than: mean and four deviations of the round trips so far, as TCP
    /// estimates it (RFC 6298 §2). Zero before the first.
    /// </summary>
    public TimeSpan RoundTrip { get; private set; }

    /// <summary>Time for one probe with all its attempts. On a slow network the direct attempt alone needs two round trips.</summary>
    public TimeSpan Period => Turn.Later(options.ProbePeriod, RoundTrip * (2 / Probe.HelpersAt)) * (1 + Score);

    public void Improve() => Score = Math.Max(Score - 1, 0);

    public void Worsen() => Score = Math.Min(Score + 1, options.HealthMax);

    public void Measured(TimeSpan roundTrip)
    {
        roundTrip = roundTrip < RoundTripMax ? roundTrip : RoundTripMax;
        if (RoundTrip == TimeSpan.Zero)
        {
            (_smoothed, _deviation) = (roundTrip, roundTrip / 2);
        }
        else
        {
            TimeSpan error = roundTrip - _smoothed;
            _deviation += (error.Duration() - _deviation) / 4;
            _smoothed += error / 8;
        }

        RoundTrip = Turn.Later(_smoothed + (4 * _deviation), RoundTripMin);
    }
}
