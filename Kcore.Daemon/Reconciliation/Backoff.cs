namespace Kcore.Daemon.Reconciliation;

/// <summary>Waits that double from <paramref name="first"/> to <paramref name="longest"/>, with a fifth of jitter so that nodes do not march in step.</summary>
internal sealed class Backoff(TimeSpan first, TimeSpan longest, Random random)
{
    private int _doublings;

    public TimeSpan Next()
    {
        TimeSpan wait = first * (1L << _doublings);
        if (wait < longest)
        {
            _doublings++;
        }
        else
        {
            wait = longest;
        }

        return wait * (0.9 + (0.2 * random.NextDouble()));
    }

    public void Reset() => _doublings = 0;
}
