using System.Diagnostics;
using System.Globalization;
using Kcore.Contracts;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>
/// Records all gossip of a living cluster, restarts all daemons (or all but one, which stays dead), and sends the recording
/// once more: nothing may change, neither digest nor member nor epoch nor incarnation.
/// </summary>
internal static class ReplayRun
{
    private const int FramesPerSecond = 2000;

    public static async Task<bool> RunAsync(Options options, TimeSpan during)
    {
        await using NodeLan lan = await NodeLan.CreateAsync(options.Nodes.IsEmpty ? 4 : options.Nodes[0]);
        using Interruption interruption = new(lan);
        await using var agents = new KcoreAgents(lan, options.Mdns);
        await new Course(agents, lan, options, new Results()).JoinAsync();
        string recording = Path.Combine(lan.Directory, "gossip.frames");
        Say($"recording {during.TotalMinutes:0.#} min of {lan.Nodes.Count} nodes");
        await using (DatagramRecorder recorder = DatagramRecorder.Start(lan, recording))
        {
            // Life goes on meanwhile: facts come and go, so that old ones are in the recording.
            long begun = Stopwatch.GetTimestamp();
            for (int update = 0; Stopwatch.GetElapsedTime(begun) < during; update++)
            {
                await agents.UpdateAsync(update);
                TimeSpan left = during - Stopwatch.GetElapsedTime(begun);
                await Task.Delay(left < TimeSpan.FromSeconds(30) ? (left > TimeSpan.Zero ? left : TimeSpan.Zero) : TimeSpan.FromSeconds(30));
            }
        }

        LanNode[] living = [.. lan.Nodes.Take(options.OneStaysDead ? lan.Nodes.Count - 1 : lan.Nodes.Count)];
        for (int i = 0; i < lan.Nodes.Count; i++)
        {
            await agents.KillAsync(i);
        }

        foreach (LanNode node in living)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(living, TimeSpan.FromSeconds(60));
        await Task.Delay(TimeSpan.FromSeconds(10));
        IReadOnlyList<string> before = await ClusterRecord.TakeAsync(lan);
        Dictionary<LanNode, long> events = [];
        foreach (LanNode node in living)
        {
            events[node] = await node.LastEventAsync();
        }

        string host = await lan.AddHostAsync("replayer", 250);
        using PacketSocket from = PacketSocket.Open(host, "eth0", 0x0800);
        Say($"all killed, {living.Length} started again; sending what was recorded, {FramesPerSecond} frames a second");
        long sent = await DatagramRecorder.ReplayAsync(recording, from, FramesPerSecond);
        await Task.Delay(TimeSpan.FromSeconds(5));

        IReadOnlyList<string> after = await ClusterRecord.TakeAsync(lan);
        string[] changed = [.. before.Except(after, StringComparer.Ordinal).Select(l => "- " + l), .. after.Except(before, StringComparer.Ordinal).Select(l => "+ " + l)];
        foreach (LanNode node in living)
        {
            changed =
            [
                .. changed,
                .. (await node.EventsAsync(events[node])).Where(e => !e.Type.StartsWith("Network", StringComparison.Ordinal)).Select(Line),
            ];
        }

        Say($"{sent} frames sent; {(changed.Length == 0 ? "nothing changed" : "CHANGED:")}");
        foreach (string line in changed.Concat(before))
        {
            Say("  " + line);
        }

        foreach (LanNode node in living)
        {
            Say($"  {node.Name} on dropped datagrams: {node.LogTail(1000).Split('\n').LastOrDefault(l => l.Contains("dropped so far", StringComparison.Ordinal)) ?? "no word"}");
        }

        return changed.Length == 0 && sent > 0;
    }

    private static string Line(EventInfo e) => $"event on {e.Reporter}: {e.Type} {e.Message}";

    private static void Say(string text) => Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():HH:mm:ss} {text}"));
}
