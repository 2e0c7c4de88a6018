using System.Globalization;
using System.Text.RegularExpressions;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>A ping that runs while something else happens.</summary>
public sealed partial class ContinuousPing : IAsyncDisposable
{
    private readonly BackgroundProcess _process;

    private ContinuousPing(BackgroundProcess process) => _process = process;

    /// <summary>One echo request every 10 ms.</summary>
    public static async Task<ContinuousPing> StartAsync(string netns, string target, string logPath)
    {
        // The first exchange resolves addresses and is not part of the measurement.
        (await Netns.ExecAsync(netns, "ping", "-n", "-c", "3", "-i", "0.2", "-w", "10", target)).OrThrow();
        File.Delete(logPath);
        return new ContinuousPing(BackgroundProcess.Start(
            "ip", ["netns", "exec", netns, "ping", "-n", "-D", "-i", "0.01", target], logPath));
    }

    public async Task<PingReport> StopAsync()
    {
        _process.Signal(Signal.Interrupt);
        await _process.WaitForExitAsync();
        string text = await File.ReadAllTextAsync(_process.LogPath);
        Match summary = Summary().Match(text);
        if (!summary.Success)
        {
            throw new InvalidOperationException($"ping wrote no summary: {text[Math.Max(0, text.Length - 500)..]}");
        }

        int sent = int.Parse(summary.Groups["sent"].ValueSpan, CultureInfo.InvariantCulture);
        HashSet<int> answered = [];
        int duplicates = 0;
        foreach (Match reply in Reply().Matches(text))
        {
            // The sequence number is 16 bits wide and wraps after eleven minutes; no test runs that long.
            if (!answered.Add(int.Parse(reply.Groups["seq"].ValueSpan, CultureInfo.InvariantCulture)))
            {
                duplicates++;
            }
        }

        // The answer to the very last request may still be on its way when ping is interrupted.
        return new PingReport(sent, duplicates, [.. Enumerable.Range(1, Math.Max(0, sent - 1)).Where(s => !answered.Contains(s))]);
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    [GeneratedRegex(@"(?<sent>\d+) packets transmitted", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Summary();

    [GeneratedRegex(@"icmp_seq=(?<seq>\d+) ttl=", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 30000)]
    private static partial Regex Reply();
}

/// <param name="Lost">Sequence numbers without an answer; one is 10 ms.</param>
public sealed record PingReport(int Sent, int Duplicates, IReadOnlyList<int> Lost)
{
    public override string ToString() =>
        $"{Sent} sent, {Lost.Count} lost, {Duplicates} duplicates; lost (10 ms each): {string.Join(',', Lost.Take(50))}";
}
