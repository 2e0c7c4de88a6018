using System.Globalization;
using System.Text.RegularExpressions;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Consensus;

/// <summary>
/// fsync(2) and fdatasync(2) of a daemon's two writing threads (the log's and the catalog's), counted by strace on these
/// threads alone so that the others run undisturbed.
/// </summary>
internal sealed partial class Syncs : IAsyncDisposable
{
    private readonly List<(string Thread, BackgroundProcess Tracer)> _tracers = [];

    public static async Task<Syncs> WatchAsync(int pid, string directory)
    {
        var syncs = new Syncs();
        foreach (string task in Directory.GetDirectories($"/proc/{pid}/task"))
        {
            string name = (await File.ReadAllTextAsync(Path.Combine(task, "comm"))).Trim();
            if (name is "raft-log" or "gossip-store")
            {
                string output = Path.Combine(directory, $"strace-{Path.GetFileName(task)}-{Guid.NewGuid():N}");
                syncs._tracers.Add((name, BackgroundProcess.Start("strace", ["-c", "-e", "trace=fsync,fdatasync", "-p", Path.GetFileName(task)], output)));
            }
        }

        // It says when it is attached.
        foreach ((_, BackgroundProcess tracer) in syncs._tracers)
        {
            for (int i = 0; i < 100 && !(File.Exists(tracer.LogPath) && (await File.ReadAllTextAsync(tracer.LogPath)).Contains("attached", StringComparison.Ordinal)); i++)
            {
                await Task.Delay(50);
            }
        }

        return syncs;
    }

    /// <summary>Stops counting; the calls of the log's and of the catalog's thread.</summary>
    public async Task<(int Log, int Catalog)> EndAsync()
    {
        int log = 0, catalog = 0;
        foreach ((string thread, BackgroundProcess tracer) in _tracers)
        {
            tracer.Signal(Signal.Interrupt);
            await tracer.WaitForExitAsync();
            int calls = (await File.ReadAllLinesAsync(tracer.LogPath))
                .Select(line => Row().Match(line))
                .Where(m => m.Success)
                .Sum(m => int.Parse(m.Groups["calls"].Value, CultureInfo.InvariantCulture));
            (log, catalog) = thread == "raft-log" ? (log + calls, catalog) : (log, catalog + calls);
        }

        return (log, catalog);
    }

    public async ValueTask DisposeAsync()
    {
        foreach ((_, BackgroundProcess tracer) in _tracers)
        {
            await tracer.DisposeAsync();
        }
    }

    // strace -c: share, seconds, microseconds per call, calls, perhaps errors, name.
    [GeneratedRegex(@"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(?<calls>\d+)\s+(\d+\s+)?f(data)?sync$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Row();
}
