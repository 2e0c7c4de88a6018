using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>
/// Real kcored daemons, heard through the event stream of their sockets. All but the first run with --disable-vxlan, so that
/// an update costs them gossip and no bridges: that is what is compared.
/// </summary>
internal sealed class KcoreAgents(NodeLan lan, bool mdns) : IAgents
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(180);
    private readonly Dictionary<int, HttpClient> _clients = [];
    private readonly Dictionary<int, string> _ids = [];
    private readonly Dictionary<int, long> _sequence = [];
    private readonly Dictionary<int, (CancellationTokenSource Stop, Task Reading)> _readers = [];
    private Task _leaving = Task.CompletedTask;
    private int _network;
    private int? _speaker;

    public string Name => "kcored";

    public Sightings Sightings { get; } = new();

    public int Count => lan.Nodes.Count;

    public string SubjectOf(int agent) => _ids[agent];

    public string SpeakerOf(int agent) => lan.Nodes[agent].Name;

    public void Start(int agent)
    {
        lan.Nodes[agent].Start(new DaemonSettings
        {
            Mdns = mdns,
            Join = agent == 0 ? [] : [lan.Nodes[0].Address],
            LogLevel = "Debug",
            Extra = agent == 0 ? [] : ["--disable-vxlan"],
        });
        Sightings.Forget(SpeakerOf(agent));
        var stop = new CancellationTokenSource();
        _readers[agent] = (stop, FollowAsync(agent, stop.Token));
    }

    public async Task IsUpAsync(int agent)
    {
        long begun = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begun) < Patience)
        {
            try
            {
                StatusReport? status = await Client(agent).GetFromJsonAsync(Routes.Status, ApiJson.Default.StatusReport);
                if (status is { Phase: "member" })
                {
                    _ids[agent] = status.NodeId;
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not yet listening.
            }

            if (!lan.Nodes[agent].IsRunning)
            {
                throw new InvalidOperationException($"The daemon of {lan.Nodes[agent].Name} has ended. Its last words:\n{lan.Nodes[agent].LogTail(20)}");
            }

            await Task.Delay(50);
        }

        throw new TimeoutException($"{lan.Nodes[agent].Name} is no member after {Patience.TotalSeconds} s. Its last words:\n{lan.Nodes[agent].LogTail(20)}");
    }

    public async Task KillAsync(int agent)
    {
        await lan.Nodes[agent].KillAsync();
        await StopReadingAsync(agent);
    }

    public void Leave(int agent) => _leaving = LeaveAsync(agent);

    public int PidOf(int agent) => lan.Nodes[agent].Pid;

    /// <summary>
    /// A node without a vote is drained, or serves again: one fact of its own that all shall know and that nobody has to do
    /// anything about, as with an event of Serf's.
    /// </summary>
    public async Task<UpdateTimes> UpdateAsync(int number)
    {
        _speaker ??= (await WithoutVoteAsync())[^1];
        return await ChangeAsync(_speaker.Value, async token =>
        {
            using HttpResponseMessage answer = await Client(_speaker.Value).PostAsJsonAsync(
                Routes.Drain, new DrainRequest { Undo = number % 2 == 1 }, ApiJson.Default.DrainRequest, token);
            answer.EnsureSuccessStatusCode();
        });
    }

    /// <summary>A network is created: the first node makes its devices, the log its pool, and the others hear of it meanwhile.</summary>
    public async Task<UpdateTimes> NetworkAsync()
    {
        string name = $"u{_network++}";
        UpdateTimes times = await ChangeAsync(0, async token =>
        {
            using HttpResponseMessage answer = await Client(0).PostAsJsonAsync(
                Routes.Networks, new CreateNetworkRequest { Name = name, Type = "vxlan", GatewayIp = "10.201.0.1" }, ApiJson.Default.CreateNetworkRequest, token);
            answer.EnsureSuccessStatusCode();
        });

        // Its pool follows, and the next one needs the room.
        await SameDigestAsync(Patience);
        using HttpResponseMessage deleted = await Client(0).DeleteAsync(new Uri($"{Routes.Networks}/{name}", UriKind.Relative));
        deleted.EnsureSuccessStatusCode();
        return times;
    }

    /// <summary>The digests that the daemon itself noted, by the clock that all of them share.</summary>
    /// <param name="from">Place in its log.</param>
    public static IEnumerable<(DateTime At, string Digest)> Learnt(LanNode node, long from)
    {
        const string Since = "Since ", Words = " the catalog's digest is ";
        using FileStream log = new(node.LogPath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Position = from;
        using var lines = new StreamReader(log);
        while (lines.ReadLine() is { } line)
        {
            if (line.LastIndexOf(Words, StringComparison.Ordinal) is > 0 and var place)
            {
                int time = line.IndexOf(Since, StringComparison.Ordinal) + Since.Length;
                yield return (DateTimeOffset.Parse(line.AsSpan(time, place - time), CultureInfo.InvariantCulture).UtcDateTime, line[(place + Words.Length)..]);
            }
        }
    }

    /// <summary>Those that do not vote, in order; where all do, the last.</summary>
    public async Task<int[]> WithoutVoteAsync()
    {
        ClusterReport report = (await Client(0).GetFromJsonAsync(Routes.Cluster, ApiJson.Default.ClusterReport))!;
        int[] without = [.. Enumerable.Range(0, Count).Where(i => report.Voters.All(v => v.Name != lan.Nodes[i].Name))];
        return without.Length > 0 ? without : [Count - 1];
    }

    /// <summary>Waits until all running agents hold one catalog and keep it for half a second.</summary>
    public async Task<string> SameDigestAsync(TimeSpan within)
    {
        long begun = Stopwatch.GetTimestamp();
        string? last = null;
        long since = begun;
        while (Stopwatch.GetElapsedTime(begun) < within)
        {
            string[] digests = await DigestsAsync();
            string? one = digests.Distinct(StringComparer.Ordinal).Count() == 1 ? digests[0] : null;
            if (one is null || one != last)
            {
                (last, since) = (one, Stopwatch.GetTimestamp());
            }
            else if (Stopwatch.GetElapsedTime(since) > TimeSpan.FromSeconds(0.5))
            {
                return one;
            }

            await Task.Delay(50);
        }

        throw new TimeoutException($"no common digest: {string.Join(' ', await DigestsAsync())}");
    }

    /// <summary>Of every running agent.</summary>
    public async Task<string[]> DigestsAsync() =>
        await Task.WhenAll(Enumerable.Range(0, Count).Where(i => lan.Nodes[i].IsRunning).Select(i => Client(i).GetStringAsync(new Uri(Routes.Digest, UriKind.Relative))));

    public Task<StatusReport?> StatusAsync(int agent) => Client(agent).GetFromJsonAsync(Routes.Status, ApiJson.Default.StatusReport);

    public HttpClient Client(int agent)
    {
        if (!_clients.TryGetValue(agent, out HttpClient? client))
        {
            string path = lan.Nodes[agent].Socket;
            var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (_, token) =>
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    try
                    {
                        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), token);
                        return new NetworkStream(socket, ownsSocket: true);
                    }
                    catch
                    {
                        socket.Dispose();
                        throw;
                    }
                },
            };
            _clients[agent] = client = new HttpClient(handler) { BaseAddress = new Uri("http://kcore"), Timeout = Timeout.InfiniteTimeSpan };
        }

        return client;
    }

    public async ValueTask DisposeAsync()
    {
        await _leaving;
        foreach (int agent in _readers.Keys.ToArray())
        {
            if (lan.Nodes[agent].IsRunning)
            {
                await lan.Nodes[agent].KillAsync();
            }

            await StopReadingAsync(agent);
        }

        foreach (HttpClient client in _clients.Values)
        {
            client.Dispose();
        }
    }

    private async Task LeaveAsync(int agent)
    {
        using HttpResponseMessage answer = await Client(agent).PostAsJsonAsync(Routes.Leave, new LeaveRequest(), ApiJson.Default.LeaveRequest);
        if (!answer.IsSuccessStatusCode)
        {
            throw new HttpRequestException($"leave was answered with {(int)answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        }
    }

    private async Task StopReadingAsync(int agent)
    {
        (CancellationTokenSource stop, Task reading) = _readers[agent];
        await stop.CancelAsync();
        await reading;
    }

    private async Task<UpdateTimes> ChangeAsync(int origin, Func<CancellationToken, Task> change)
    {
        string digest = await SameDigestAsync(Patience);
        long[] read = [.. lan.Nodes.Select(n => new FileInfo(n.LogPath).Length)];
        using CancellationTokenSource limit = new(Patience);
        Task<long>[] waiting = [.. Enumerable.Range(0, Count).Select(i => DigestLeavesAsync(i, digest, limit.Token))];

        // The questions must be asked before there is an answer.
        await Task.Delay(200, limit.Token);
        long asked = Stopwatch.GetTimestamp();
        await change(limit.Token);
        await ((Task)Task.WhenAll(waiting)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        long[] heard = [.. waiting.Where((w, i) => i != origin && w.IsCompletedSuccessfully).Select(w => w.Result)];
        string after = await SameDigestAsync(Patience);
        DateTime[] learnt = [.. lan.Nodes.Select((n, i) => LearntAt(n, read[i], after)).OfType<DateTime>()];
        return new UpdateTimes(asked, await waiting[origin], heard, Count - 1 - heard.Length)
        {
            Spread = learnt.Length == Count ? learnt.Max() - learnt[origin] : null,
        };
    }

    /// <summary>When the daemon itself noted that its catalog has this digest, by the clock that all of them share.</summary>
    private static DateTime? LearntAt(LanNode node, long from, string digest) =>
        Learnt(node, from).Where(l => l.Digest == digest).Select(l => (DateTime?)l.At).FirstOrDefault();

    private async Task<long> DigestLeavesAsync(int agent, string digest, CancellationToken token)
    {
        await Client(agent).GetStringAsync(new Uri($"{Routes.Digest}?not={digest}", UriKind.Relative), token);
        return Stopwatch.GetTimestamp();
    }

    private async Task FollowAsync(int agent, CancellationToken token)
    {
        while (!token.IsCancellationRequested)
        {
            try
            {
                string path = $"{Routes.Events}?follow=true&since={_sequence.GetValueOrDefault(agent)}";
                await using Stream stream = await Client(agent).GetStreamAsync(new Uri(path, UriKind.Relative), token);
                using var lines = new StreamReader(stream);
                while (await lines.ReadLineAsync(token) is { } line)
                {
                    Hear(agent, JsonSerializer.Deserialize(line, ApiJson.Default.EventInfo)!);
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
            {
                // Not yet up, or killed: asked again until the course says stop.
            }

            await Task.Delay(20, CancellationToken.None);
        }
    }

    private void Hear(int agent, EventInfo item)
    {
        _sequence[agent] = item.Sequence;
        Standing standing = item.Type switch
        {
            "MemberJoined" or "MemberAlive" => Standing.Alive,
            "MemberSuspected" => Standing.Suspect,
            "MemberDead" => Standing.Dead,
            "MemberLeft" => Standing.Left,
            _ => Standing.Unknown,
        };
        if (standing == Standing.Suspect)
        {
            Sightings.Say(SpeakerOf(agent), item.Node + "?", standing);
        }
        else if (standing != Standing.Unknown && item.Node is { } subject)
        {
            Sightings.Say(SpeakerOf(agent), subject, standing);
        }
    }
}
