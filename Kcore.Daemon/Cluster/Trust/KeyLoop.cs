using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>A rotation was not begun, or another key not taken.</summary>
/// <param name="Details">Who or what stands in the way.</param>
internal sealed record KeyRefusal(string Text, ImmutableArray<string> Details);

/// <summary>
/// Owns the keys of this node: looks at what the members state about theirs, takes the step that
/// <see cref="KeyRotation"/> names, and states what came of it. A step is on disk before it is in the ring, and in the
/// ring before it is stated: what others rely on is never lost by a crash.
/// </summary>
internal sealed partial class KeyLoop(KeyLoopParts parts)
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    /// <summary>Views change in bursts; one look a burst is enough.</summary>
    private static readonly TimeSpan Coalesce = TimeSpan.FromMilliseconds(50);

    /// <summary>Everybody has been using one key for this long before the others go: nothing sealed with them is still on its way.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = parts.Logger;
    private readonly long _started = parts.Time.GetTimestamp();
    private readonly Channel<Work> _work = Channel.CreateBounded<Work>(16);
    private TimeSpan? _settledSince;
    private TimeSpan _fetchAt;

    /// <summary>The keys, and why they could not be stored, if so.</summary>
    public Published<KeyStatus> Status { get; } = new(new KeyStatus(parts.Content, null));

    private RingContent Content => Status.Current.Content;

    /// <summary>Makes a new key and stages it here; the members take it from there. Null when done, else why not.</summary>
    public Task<KeyRefusal?> RotateAsync(TimeSpan overlap, CancellationToken token) => SubmitAsync(view => Rotate(overlap, view), token);

    /// <summary>
    /// Takes the key of another cluster, or of the own one after it was rotated without this node. A node that is alone and
    /// has nothing to lose then finds that cluster and gives its own up for it. Null when done, else why not.
    /// </summary>
    public Task<KeyRefusal?> JoinAsync(JoinToken joining, CancellationToken token) => SubmitAsync(view => Join(joining, view), token);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        ImmutableArray<CatalogEntry> heard = default;
        while (true)
        {
            (GossipView view, long revision) = parts.Cluster.View.Read();
            if (view.Entries != heard)
            {
                parts.Peers.Stated = StatedIn(view);
                heard = view.Entries;
            }

            while (_work.Reader.TryRead(out Work? work))
            {
                work.Done.TrySetResult(work.Act(view));
            }

            bool stepped = await StepAsync(view, stoppingToken);
            await StateAsync(view, stoppingToken);
            await WaitAsync(stepped ? Coalesce : Pace, revision, stoppingToken);
        }
    }

    /// <summary>Serves <see cref="StreamKind.Keys"/>: only to members of this cluster, over a stream they proved a key on.</summary>
    public async Task HandleAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        KeyRequest request;
        try
        {
            request = KeyRequest.Decode(body.Span);
        }
        catch (WireFormatException e)
        {
            throw new InvalidDataException(e.Message, e);
        }

        byte[] answer = Answer(peer, request);
        try
        {
            await reply(answer, true);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(answer);
        }
    }

    private TimeSpan Now => parts.Time.GetElapsedTime(_started);

    private byte[] Answer(NodeId peer, KeyRequest request)
    {
        string? refusal = parts.Cluster.State.Current.Cluster?.Id != request.Cluster ? "this node is in another cluster"
            : parts.Cluster.View.Current.Members.Find(peer) is not { IsActive: true } ? "the asking node is not a member"
            : null;
        RingKey? key = refusal is null ? Content.Keys.FirstOrDefault(k => k.Secret.KeyId == request.KeyId) : null;
        try
        {
            return new KeyReply(key, refusal ?? "this node does not hold the key").Encode();
        }
        catch (ObjectDisposedException)
        {
            return new KeyReply(null, "the key has just been retired").Encode();
        }
    }

    private static FrozenDictionary<NodeId, KeyHolding> StatedIn(GossipView view)
    {
        var stated = new Dictionary<NodeId, KeyHolding>();
        foreach (CatalogEntry entry in view.Entries)
        {
            if (entry.Kind == KeyHolding.Kind && KeyHolding.Read(entry) is { } holding)
            {
                stated[entry.Origin] = holding;
            }
        }

        return stated.ToFrozenDictionary();
    }

    private List<Member> OthersIn(GossipView view) => [.. view.Members.Members.Where(m => m.IsActive && m.Id != parts.Self)];

    private async Task<KeyRefusal?> SubmitAsync(Func<GossipView, KeyRefusal?> act, CancellationToken token)
    {
        var work = new Work(act, new TaskCompletionSource<KeyRefusal?>(TaskCreationOptions.RunContinuationsAsynchronously));
        await _work.Writer.WriteAsync(work, token);
        return await work.Done.Task.WaitAsync(token);
    }

    private KeyRefusal? Rotate(TimeSpan overlap, GossipView view)
    {
        if (Obstacle(view) is { } refusal)
        {
            return refusal;
        }

        uint newest = parts.Peers.Stated.Values.SelectMany(h => h.Held).Concat(Content.Holding.Held).Max().Generation;
        var key = new RingKey(newest + 1, ClusterKeyFile.NewSecret(), overlap, null);
        if (!Change(Content.With(key)))
        {
            return NotStored();
        }

        Log.Staged(_logger, key.Name.Text);
        parts.Events.Add("KeyStaged", $"a rotation to cluster key {key.Name.Text} begins", parts.Self.ToString());
        return null;
    }

    private KeyRefusal? Join(JoinToken joining, GossipView view)
    {
        RingKey key = joining.Key with { ActiveSince = parts.Time.GetUtcNow() };
        ClusterRef? own = parts.Cluster.State.Current.Cluster;
        if (Content.Active == key.Secret.KeyId)
        {
            return null;
        }

        if (own?.Id == joining.Cluster)
        {
            // The own cluster has moved on; nobody of it speaks the keys from before any more.
            return key.Name < Content.Holding.Newest
                ? new KeyRefusal("the token is older than the key this node holds", [$"token: key {key.Name.Text}, generation {key.Generation}"])
                : Change(new RingContent([key], key.Secret.KeyId)) ? null : NotStored();
        }

        ImmutableArray<string> others = [.. view.Members.Members.Where(m => m.Id != parts.Self && m.Status != MemberStatus.Left).Select(m => $"member {m.Name}")];
        if (own is not null && (!others.IsEmpty || !parts.Cluster.IsVirgin))
        {
            return new KeyRefusal(
                $"this node is at home in cluster {own.Value.Id:N}",
                others.IsEmpty ? ["networks with addresses"] : others);
        }

        return Change(new RingContent([key], key.Secret.KeyId)) ? null : NotStored();
    }

    private KeyRefusal NotStored() => new("the key could not be stored", [Status.Current.Fault ?? parts.Path]);

    private KeyRefusal? Obstacle(GossipView view)
    {
        if (parts.Cluster.State.Current.Phase != ClusterPhase.Member)
        {
            return new KeyRefusal("this node is in no cluster yet", []);
        }

        if (Content.Keys.Length > 1)
        {
            return new KeyRefusal("a rotation is under way", [.. Content.Keys.Select(k => $"key {k.Name.Text}, generation {k.Generation}")]);
        }

        ImmutableArray<string> behind =
        [
            .. OthersIn(view)
                .Where(m => !parts.Peers.Stated.TryGetValue(m.Id, out KeyHolding? h) || h.Held.Length != 1 || h.Active.Id != Content.Active)
                .Select(m => parts.Peers.Stated.ContainsKey(m.Id) ? $"node {m.Name}" : $"node {m.Name}: it has not said yet which keys it has"),
        ];
        return behind.IsEmpty ? null : new KeyRefusal("the rotation before is not over on every member", behind);
    }

    /// <summary>True when something changed, so that there may be more to do.</summary>
    private async Task<bool> StepAsync(GossipView view, CancellationToken token)
    {
        if (parts.Cluster.State.Current is not { Phase: ClusterPhase.Member, Cluster: { } cluster })
        {
            return false;
        }

        List<Member> others = OthersIn(view);
        KeyStep? step = KeyRotation.Next(Content.Holding, [.. others.Select(m => m.Id)], parts.Peers.Stated);
        if (step is not KeyStep.Retire)
        {
            _settledSince = null;
        }

        switch (step)
        {
            case KeyStep.Renumber renumber:
                return Change(Content with
                {
                    Keys = [.. Content.Keys.Select(k => k.Name == renumber.From ? k with { Generation = renumber.To.Generation } : k).OrderBy(k => k.Name)],
                });
            case KeyStep.Fetch fetch:
                return Now >= _fetchAt && await FetchAsync(cluster, fetch, others, token);
            case KeyStep.Use use:
                return Use(use.Key);
            case KeyStep.Retire retire:
                return Retire(retire);
            default:
                return false;
        }
    }

    private async Task<bool> FetchAsync(ClusterRef cluster, KeyStep.Fetch fetch, List<Member> others, CancellationToken token)
    {
        foreach (Member holder in others.Where(m => fetch.From.Contains(m.Id)).OrderBy(_ => RandomNumberGenerator.GetInt32(int.MaxValue)))
        {
            if (await AskAsync(cluster, fetch.Key, holder.Endpoint, token) is { } key)
            {
                RingContent next = fetch.Drop is { } dropped ? Content.Without(dropped) : Content;
                if (Change(next.With(key)))
                {
                    Log.Received(_logger, key.Name.Text, holder.Name);
                    return true;
                }

                return false;
            }
        }

        _fetchAt = Now + Pace;
        return false;
    }

    private async Task<RingKey?> AskAsync(ClusterRef cluster, KeyName wanted, IPEndPoint endpoint, CancellationToken token)
    {
        try
        {
            (_, ReadOnlyMemory<byte> body) = await parts.Connector.CallAsync(endpoint, StreamKind.Keys, new KeyRequest(cluster.Id, wanted.Id).Encode(), token);
            KeyReply reply = KeyReply.Decode(body.Span);
            if (reply.Key is { } key && key.Secret.KeyId == wanted.Id)
            {
                return key with { Generation = Math.Max(key.Generation, wanted.Generation) };
            }

            Log.NotReceived(_logger, wanted.Text, endpoint, reply.Refusal ?? "it sent another key");
        }
        catch (Exception e) when (e is IOException or WireFormatException)
        {
            Log.NotReceived(_logger, wanted.Text, endpoint, e.Message);
        }

        return null;
    }

    private bool Use(KeyName key)
    {
        DateTimeOffset now = parts.Time.GetUtcNow();
        RingContent next = Content with
        {
            Active = key.Id,
            Keys = [.. Content.Keys.Select(k => k.Name == key ? k with { ActiveSince = now } : k)],
        };
        if (!Change(next))
        {
            return false;
        }

        Log.Used(_logger, key.Text);
        parts.Events.Add("KeyActivated", $"this node seals with cluster key {key.Text}", parts.Self.ToString());
        return true;
    }

    private bool Retire(KeyStep.Retire retire)
    {
        _settledSince ??= Now;
        RingKey active = Content.ActiveKey;
        DateTimeOffset now = parts.Time.GetUtcNow();
        if (active.ActiveSince is not { } since)
        {
            // The file came from elsewhere; the overlap is counted from here.
            return Change(Content with { Keys = Content.Keys.Replace(active, active with { ActiveSince = now }) });
        }

        if (Now - _settledSince < Settle || now < since + active.Overlap)
        {
            return false;
        }

        if (!Change(Content with { Keys = [active] }))
        {
            return false;
        }

        foreach (KeyName key in retire.Keys)
        {
            Log.Retired(_logger, key.Text);
            parts.Events.Add("KeyRetired", $"cluster key {key.Text} is not accepted any more", parts.Self.ToString());
        }

        return true;
    }

    /// <summary>Disk, then ring. False when the disk refused: then nothing has changed.</summary>
    private bool Change(RingContent next)
    {
        try
        {
            ClusterKeyFile.Write(parts.Path, next);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Status.Current.Fault != e.Message)
            {
                Log.NotStored(_logger, parts.Path, e.Message);
                Status.Replace(Status.Current with { Fault = e.Message });
            }

            return false;
        }

        next.ApplyTo(parts.Ring);
        Status.Replace(new KeyStatus(next, null));
        return true;
    }

    private async Task StateAsync(GossipView view, CancellationToken token)
    {
        if (parts.Cluster.State.Current.Phase != ClusterPhase.Member)
        {
            return;
        }

        KeyHolding own = Content.Holding;
        if (parts.Peers.Stated.TryGetValue(parts.Self, out KeyHolding? stated) && stated.Equals(own) && view.Members.Self == parts.Self)
        {
            return;
        }

        try
        {
            await parts.Cluster.PutAsync([new LocalWrite(KeyHolding.Key, KeyHolding.Kind, own.Encode())], token);
        }
        catch (Exception e) when (e is InvalidOperationException or StorageException)
        {
            // Between two clusters, or the disk is full: the next look tries again.
            Log.NotStated(_logger, e.Message);
        }
    }

    private async Task WaitAsync(TimeSpan longest, long revision, CancellationToken token)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        await Task.WhenAny(
            Task.Delay(longest, parts.Time, limit.Token),
            parts.Cluster.View.ChangedSince(revision, limit.Token),
            _work.Reader.WaitToReadAsync(limit.Token).AsTask());
        await limit.CancelAsync();
        token.ThrowIfCancellationRequested();
        if (!_work.Reader.TryPeek(out _))
        {
            await Task.Delay(Coalesce, parts.Time, token);
        }
    }

    private sealed record Work(Func<GossipView, KeyRefusal?> Act, TaskCompletionSource<KeyRefusal?> Done);

    private static partial class Log
    {
        [LoggerMessage(1180, LogLevel.Information, "A rotation to cluster key {Key} begins")]
        public static partial void Staged(ILogger logger, string key);

        [LoggerMessage(1181, LogLevel.Information, "Got cluster key {Key} from {Node}")]
        public static partial void Received(ILogger logger, string key, string node);

        [LoggerMessage(1182, LogLevel.Information, "Cluster key {Key} not received from {Endpoint}, trying on: {Cause}")]
        public static partial void NotReceived(ILogger logger, string key, IPEndPoint endpoint, string cause);

        [LoggerMessage(1183, LogLevel.Information, "Every member holds cluster key {Key}: sealing with it from now on")]
        public static partial void Used(ILogger logger, string key);

        [LoggerMessage(1184, LogLevel.Information, "Every member uses the newer cluster key: {Key} is not accepted any more")]
        public static partial void Retired(ILogger logger, string key);

        [LoggerMessage(1185, LogLevel.Error, "The cluster keys could not be stored in {Path}; a rotation waits for it: {Cause}")]
        public static partial void NotStored(ILogger logger, string path, string cause);

        [LoggerMessage(1186, LogLevel.Debug, "Keys not stated yet: {Cause}")]
        public static partial void NotStated(ILogger logger, string cause);
    }
}

/// <summary>The keys of this node.</summary>
/// <param name="Fault">Why the latest change could not be stored; null when it could.</param>
internal sealed record KeyStatus(RingContent Content, string? Fault);
