using System.Diagnostics;
using System.Text.RegularExpressions;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>Real Serf agents with their defaults (profile lan). What they log is what they know, without the three seconds their event handlers coalesce.</summary>
internal sealed partial class SerfAgents(NodeLan lan) : IAgents
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(180);
    private readonly Dictionary<int, Process> _processes = [];
    private readonly Dictionary<int, Task> _readers = [];
    private readonly Dictionary<int, TaskCompletionSource> _up = [];

    public string Name => "serf";

    public Sightings Sightings { get; } = new();

    public int Count => lan.Nodes.Count;

    public string SubjectOf(int agent) => lan.Nodes[agent].Name;

    public string SpeakerOf(int agent) => lan.Nodes[agent].Name;

    public void Start(int agent)
    {
        LanNode node = lan.Nodes[agent];
        List<string> arguments = ["netns", "exec", node.Namespace, "serf", "agent", $"-node={node.Name}", $"-bind={node.Address}", "-log-level=info"];
        if (agent > 0)
        {
            arguments.Add($"-retry-join={lan.Nodes[0].Address}");
        }

        ProcessStartInfo start = new("ip", arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        Process process = Process.Start(start) ?? throw new InvalidOperationException("serf was not started");
        Sightings.Forget(SpeakerOf(agent));
        _processes[agent] = process;
        _up[agent] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _readers[agent] = Task.WhenAll(ReadAsync(agent, process.StandardOutput), ReadAsync(agent, process.StandardError));
    }

    public Task IsUpAsync(int agent) => _up[agent].Task.WaitAsync(Patience);

    public async Task KillAsync(int agent)
    {
        Process process = _processes[agent];
        if (!process.HasExited)
        {
            process.Kill();
        }

        await process.WaitForExitAsync();
        await _readers[agent];
    }

    public void Leave(int agent)
    {
        // The command answers when the agent has gone; the clock of the course runs from its start.
        Process leave = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", lan.Nodes[agent].Namespace, "serf", "leave"]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        _readers[agent] = Task.WhenAll(_readers[agent], leave.WaitForExitAsync());
    }

    public int PidOf(int agent) => _processes[agent].Id;

    public async Task<UpdateTimes> UpdateAsync(int number)
    {
        string update = $"update-{number}";
        long asked = Stopwatch.GetTimestamp();
        (await Netns.ExecAsync(lan.Nodes[0].Namespace, "serf", "event", "-coalesce=false", update)).OrThrow();
        int[] others = [.. Enumerable.Range(1, Count - 1)];
        await Sightings.WaitAsync(() => others.All(o => Sightings.UpdateAt(SpeakerOf(o), update) is not null), Patience);
        long[] heard = [.. others.Select(o => Sightings.UpdateAt(SpeakerOf(o), update)).OfType<long>()];
        return new UpdateTimes(asked, Sightings.UpdateAt(SpeakerOf(0), update) ?? asked, heard, others.Length - heard.Length);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (int agent in _processes.Keys)
        {
            await KillAsync(agent);
            _processes[agent].Dispose();
        }
    }

    private async Task ReadAsync(int agent, StreamReader output)
    {
        string speaker = SpeakerOf(agent);
        while (await output.ReadLineAsync() is { } line)
        {
            if (line.Contains("Serf agent running!", StringComparison.Ordinal))
            {
                _up[agent].TrySetResult();
            }
            else if (MemberEvent().Match(line) is { Success: true } change)
            {
                Sightings.Say(speaker, change.Groups["name"].Value, change.Groups["what"].Value switch
                {
                    "Join" => Standing.Alive,
                    "Failed" => Standing.Dead,
                    _ => Standing.Left,
                });
            }
            else if (SuspectEvent().Match(line) is { Success: true } suspect)
            {
                Sightings.Say(speaker, suspect.Groups["name"].Value + "?", Standing.Suspect);
            }
            else if (UserEvent().Match(line) is { Success: true } update)
            {
                Sightings.SayUpdate(speaker, update.Groups["name"].Value);
            }
        }
    }

    [GeneratedRegex(@"serf: EventMember(?<what>Join|Failed|Leave): (?<name>\S+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MemberEvent();

    [GeneratedRegex(@"memberlist: Suspect (?<name>\S+) has failed", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SuspectEvent();

    [GeneratedRegex(@"agent: Received event: user-event: (?<name>\S+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UserEvent();
}
