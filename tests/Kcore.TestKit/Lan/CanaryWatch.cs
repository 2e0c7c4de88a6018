namespace Kcore.TestKit.Lan;

/// <param name="Frames">All that were looked at.</param>
/// <param name="Secret">Those of WireGuard among them: that there are some shows that the watch sees.</param>
/// <param name="Leak">The first frame with the canary in clear, in hexadecimal; null when there was none.</param>
public sealed record CanaryReport(long Frames, long Secret, string? Leak);

/// <summary>Looks at every frame that crosses the ports of nodes, both ways, for bytes that nobody may see.</summary>
public sealed class CanaryWatch : IAsyncDisposable
{
    /// <summary>Sixteen bytes that guests send and nobody else: what ping fills its packets with (-p).</summary>
    public const string Canary = "4b634f7265436c6561725465787421ff";

    private readonly CancellationTokenSource _enough = new();
    private readonly PacketSocket[] _taps;
    private readonly Task<(long Frames, string? Leak)>[] _watching;
    private long _secret;

    private CanaryWatch(PacketSocket[] taps)
    {
        _taps = taps;
        _watching = [.. taps.Select(t => WatchAsync(t, _enough.Token))];
    }

    /// <summary>Frames of WireGuard seen so far.</summary>
    public long Secret => Interlocked.Read(ref _secret);

    public static CanaryWatch Start(NodeLan lan, IReadOnlyList<LanNode> nodes) =>
        new([.. nodes.Select(n => PacketSocket.Open(lan.Switch, "p" + n.Address.Split('.')[^1], 0x0003))]);

    public async Task<CanaryReport> StopAsync()
    {
        await _enough.CancelAsync();
        (long Frames, string? Leak)[] reports = await Task.WhenAll(_watching);
        return new CanaryReport(reports.Sum(r => r.Frames), Secret, reports.Select(r => r.Leak).FirstOrDefault(l => l is not null));
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Array.ForEach(_taps, t => t.Dispose());
        _enough.Dispose();
    }

    private async Task<(long Frames, string? Leak)> WatchAsync(PacketSocket tap, CancellationToken token)
    {
        byte[] canary = Convert.FromHexString(Canary);
        byte[] buffer = new byte[65536];
        long frames = 0;
        string? leak = null;
        try
        {
            while (true)
            {
                int length = await tap.ReceiveAsync(buffer, token);
                frames++;

                // IPv4 without options, UDP to the port of WireGuard (RFC 791, RFC 768).
                if (length > 42 && buffer[12] == 8 && buffer[13] == 0 && buffer[23] == 17 && buffer[36] == 0xca && buffer[37] == 0x6c)
                {
                    Interlocked.Increment(ref _secret);
                }

                if (buffer.AsSpan(0, length).IndexOf(canary) >= 0)
                {
                    leak ??= Convert.ToHexString(buffer.AsSpan(0, Math.Min(length, 128)));
                }
            }
        }
        catch (OperationCanceledException)
        {
            return (frames, leak);
        }
    }
}
