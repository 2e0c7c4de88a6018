using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Nics;

/// <summary>
/// Moves NICs between nodes, asked on any node. What it does is to write into the log and to watch the catalog; the nodes
/// concerned do their part by themselves, so that nothing depends on whether this call survives.
/// </summary>
internal sealed class MoveService(LocalNode self, CatalogHub catalog, ProposalClient proposals, QuorumSight quorum, NicService nics, ClusterLedger ledger, EventLog events, TimeProvider time)
{
    private static readonly TimeSpan LogPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan DevicePatience = TimeSpan.FromSeconds(10);

    /// <summary>What was asked for on another node a moment ago may not be known here yet.</summary>
    private static readonly TimeSpan NewsPatience = TimeSpan.FromSeconds(2);

    public async Task<MovedNic> MoveAsync(string networkName, string nicName, MoveNicRequest request, CancellationToken token)
    {
        string name = ObjectName.Check(nicName, "NIC");
        string network = ObjectName.Check(networkName, "network");
        (string? netns, string? ifname) = NicRequest.CheckPlace(request.Netns, request.Ifname);
        bool force = request.Force ?? false;
        switch (request.Step)
        {
            case null or "prepare":
                return await BeginAsync(name, network, request, (netns, ifname), force, isWhole: request.Step is null, token);
            case "complete":
                return await PendingAsync(name, network, request.To, token) is { } pending
                    ? await CompleteAsync(pending, force, token)
                    : Unmoved(name, network, request.To);
            case "abort":
                return await PendingAsync(name, network, request.To, token) is { } unwanted
                    ? await AbortAsync(unwanted, token)
                    : throw NotMoving(name, network);
            default:
                throw new RefusedException(ErrorCode.InvalidArgument, $"'{request.Step}' is no step of a move", next: "prepare, complete or abort; leave it out for the whole move");
        }
    }

    private async Task<MovedNic> BeginAsync(
        string name, string network, MoveNicRequest request, (string? Netns, string? Ifname) place, bool force, bool isWhole, CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        HostedNic nic = MoveCheck.Find(name, network, now, self.Id);
        NodeId to = MoveCheck.FindNode(request.To, now);
        if (nic.Node == to)
        {
            return Report("unchanged", nic, nic.Node, to, now);
        }

        Movable movable = MoveCheck.Check(nic, to, place.Netns is not null, force, now);
        MoveFact? begun = now.View.Moves.FirstOrDefault(m => m.IsPending && m.AttachmentId == nic.Fact.AttachmentId);
        if (begun is not null && (begun.To != to || begun.Netns != place.Netns || begun.Ifname != place.Ifname))
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"NIC '{name}' is being moved to node {now.NameOf(begun.To)} already{(begun.To == to ? ", otherwise" : "")}",
                [$"netns there: {begun.Netns ?? "(none)"}"],
                $"kctl move nic {name} --network {network} --complete, or --abort");
        }

        UInt128 move = begun?.Move ?? await BeginAsync(movable, place, token);
        HostedNic prepared;
        try
        {
            prepared = await PreparedAsync(move, movable, token);
        }
        catch when (begun is null)
        {
            await TryAbortAsync(move);
            throw;
        }

        return isWhole
            ? await CompleteAsync(Found(move, name, network), force, token)
            : Report("prepared", prepared, nic.Node, to, catalog.Current.Current);
    }

    private async Task<UInt128> BeginAsync(Movable movable, (string? Netns, string? Ifname) place, CancellationToken token)
    {
        UInt128 move = Uid.NewRandom();
        NicFact nic = movable.Nic.Fact;
        var moving = new MovingNic(
            new AttachmentId(Uid.ToGuid(nic.AttachmentId)),
            new NetworkUid(Uid.ToGuid(movable.Network.Uid)),
            nic.Name,
            nic.Mac,
            movable.Lease?.Address ?? nic.Address,
            Uid.ToGuid(movable.Nic.Node.Value),
            Uid.ToGuid(movable.To.Value),
            movable.Lease is not null,
            nic.AllowSpoofing,
            place.Netns,
            place.Ifname);

        // Without an answer nobody knows whether it got through. If it did, it is gone on with when asked for again, or given up by the leader.
        await ProposeAsync(new ReplicatedCommand.BeginMove(Uid.ToGuid(move), moving, ledger.KnownIndex + ReplicatedState.RequestLifetime), nic.Name, token);
        return move;
    }

    /// <summary>Waits until the node it goes to has the device.</summary>
    private async Task<HostedNic> PreparedAsync(UInt128 move, Movable movable, CancellationToken token)
    {
        UInt128 attachment = movable.Nic.Fact.AttachmentId;
        bool wasSeen = false;
        bool Decides(CatalogSnapshot s)
        {
            bool isThere = s.View.Moves.Any(m => m.Move == move);
            wasSeen |= isThere;
            return (wasSeen && !isThere) || s.View.Arriving.GetValueOrDefault(attachment)?.Fact.State is ObjectState.Prepared or ObjectState.Failed;
        }

        await WaitAsync(Decides, DevicePatience, token);
        CatalogSnapshot now = catalog.Current.Current;
        HostedNic? arriving = now.View.Arriving.GetValueOrDefault(attachment);
        string target = now.NameOf(movable.To);
        return arriving switch
        {
            { Fact.State: ObjectState.Prepared } => arriving,
            { Fact.State: ObjectState.Failed } => throw new RefusedException(
                ErrorCode.FailedPrecondition, $"node {target} cannot make the device of NIC '{movable.Nic.Fact.Name}'", [arriving.Fact.Reason ?? "no reason given"], $"kctl plan, on node {target}; the NIC stays where it is"),
            _ when wasSeen && now.View.Moves.All(m => m.Move != move) => throw new RefusedException(
                ErrorCode.FailedPrecondition, $"the move of NIC '{movable.Nic.Fact.Name}' was given up meanwhile, or the NIC detached", next: "kctl get nics"),
            _ => throw new RefusedException(
                ErrorCode.Unavailable,
                $"node {target} has not made the device of NIC '{movable.Nic.Fact.Name}' within {DevicePatience.TotalSeconds:0} s",
                [$"state there: {arriving?.Fact.State.ToString() ?? "not stated"}"],
                $"kctl events, on node {target}; the NIC stays where it is"),
        };
    }

    private async Task<MovedNic> CompleteAsync(MoveFact move, bool force, CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        MoveCheck.CheckPresence(move.To, now);
        HostedNic? source = SourceOf(move, now);
        if (!force && source is not null)
        {
            MoveCheck.CheckSource(source, now);
        }

        if (now.View.Arriving.GetValueOrDefault(move.AttachmentId) is not { Fact.State: ObjectState.Prepared })
        {
            HostedNic? arriving = now.View.Arriving.GetValueOrDefault(move.AttachmentId);
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"NIC '{move.Name}' is not prepared on node {now.NameOf(move.To)}",
                [$"state there: {arriving?.Fact.State.ToString() ?? "not stated"}{(arriving?.Fact.Reason is { } reason ? $": {reason}" : "")}"],
                $"kctl get nics; kctl move nic {move.Name} --network {NetworkOf(move, now)} --abort");
        }

        await ProposeAsync(new ReplicatedCommand.HandOver(Uid.ToGuid(move.Move)), move.Name, token);
        events.Add(
            "NicHandedOver",
            $"NIC {move.Name} on {NetworkOf(move, now)} is handed over from node {now.NameOf(move.From)} to node {now.NameOf(move.To)}",
            move.To.ToString(),
            NetworkOf(move, now),
            ("from", now.NameOf(move.From)),
            ("to", now.NameOf(move.To)));

        // From here on it happens by itself; this waits so that the answer says how it went.
        await WaitAsync(s => IsDone(move, s), DevicePatience, token);
        CatalogSnapshot then = catalog.Current.Current;
        HostedNic? nic = Stated(move, move.To, then);
        return nic is not null ? Report("moved", nic, move.From, move.To, then) : throw new RefusedException(
            ErrorCode.Unavailable, $"NIC '{move.Name}' was handed over to node {then.NameOf(move.To)}, which has not stated it yet", next: "kctl get nics; it completes by itself");
    }

    private async Task<MovedNic> AbortAsync(MoveFact move, CancellationToken token)
    {
        await ProposeAsync(new ReplicatedCommand.AbortMove(Uid.ToGuid(move.Move)), move.Name, token);
        CatalogSnapshot before = catalog.Current.Current;
        events.Add(
            "MoveAborted",
            $"the move of NIC {move.Name} on {NetworkOf(move, before)} to node {before.NameOf(move.To)} is given up",
            move.From.ToString(),
            NetworkOf(move, before),
            ("to", before.NameOf(move.To)));
        await WaitAsync(
            s => s.View.Moves.All(m => m.Move != move.Move) && Stated(move, move.To, s) is null && !s.View.Arriving.ContainsKey(move.AttachmentId),
            DevicePatience,
            token);
        CatalogSnapshot now = catalog.Current.Current;
        return SourceOf(move, now) is { } kept ? Report("aborted", kept, move.From, move.To, now) : throw new RefusedException(
            ErrorCode.NotFound, $"the move of NIC '{move.Name}' is given up, and the NIC was detached", next: "kctl get nics");
    }

    private async Task TryAbortAsync(UInt128 move)
    {
        try
        {
            await proposals.ProposeAsync(new ReplicatedCommand.AbortMove(Uid.ToGuid(move)), LogPatience, CancellationToken.None);
        }
        catch (RefusedException)
        {
            // The leader gives up what nobody goes on with.
        }
    }

    /// <summary>The move of that NIC that is prepared, or null when there is none.</summary>
    private async Task<MoveFact?> PendingAsync(string name, string network, string? to, CancellationToken token)
    {
        bool IsMeant(MoveFact m, CatalogSnapshot s) => m.IsPending && m.Name == name && NetworkOf(m, s) == network;
        await WaitAsync(s => s.View.Moves.Any(m => IsMeant(m, s)), NewsPatience, token);
        CatalogSnapshot now = catalog.Current.Current;
        MoveFact[] found = [.. now.View.Moves.Where(m => IsMeant(m, now))];
        if (to is not null)
        {
            NodeId wanted = MoveCheck.FindNode(to, now);
            found = [.. found.Where(m => m.To == wanted)];
        }

        return found switch
        {
            [] => null,
            [var only] => only,
            _ => throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"several NICs '{name}' of network '{network}' are being moved",
                [.. found.Select(m => $"from node {now.NameOf(m.From)} to node {now.NameOf(m.To)}")],
                "say which with --to NODE"),
        };
    }

    /// <summary>Asking twice to complete is completing once.</summary>
    private MovedNic Unmoved(string name, string network, string? to)
    {
        CatalogSnapshot now = catalog.Current.Current;
        NodeId? wanted = to is null ? null : MoveCheck.FindNode(to, now);
        HostedNic nic = MoveCheck.Find(name, network, now, wanted ?? self.Id);
        return nic.Node == wanted ? Report("unchanged", nic, nic.Node, nic.Node, now) : throw NotMoving(name, network);
    }

    private static RefusedException NotMoving(string name, string network) => new(
        ErrorCode.FailedPrecondition, $"NIC '{name}' of network '{network}' is not being moved", next: $"kctl move nic {name} --network {network} --to NODE --prepare");

    private MoveFact Found(UInt128 move, string name, string network) =>
        catalog.Current.Current.View.Moves.FirstOrDefault(m => m.Move == move) ?? throw NotMoving(name, network);

    private static string NetworkOf(MoveFact move, CatalogSnapshot now) =>
        now.View.NetworksByUid.TryGetValue(move.Network, out Network? network) ? network.Name : FactKeys.Hex(move.Network);

    private static HostedNic? Stated(MoveFact move, NodeId node, CatalogSnapshot now) =>
        now.View.Nics.FirstOrDefault(n => n.Node == node && n.Fact.AttachmentId == move.AttachmentId);

    private static HostedNic? SourceOf(MoveFact move, CatalogSnapshot now) => Stated(move, move.From, now);

    // One that is not heard says nothing more, and need not: its word no longer counts.
    private static bool IsDone(MoveFact move, CatalogSnapshot s) =>
        Stated(move, move.To, s) is { Fact.State: ObjectState.Ready or ObjectState.Failed }
        && (s.Gossip.Members.Find(move.From) is not { Status: MemberStatus.Alive }
            || s.View.Moves.FirstOrDefault(m => m.Move == move.Move) is null or { SourceKnows: true });

    private MovedNic Report(string verb, HostedNic nic, NodeId from, NodeId to, CatalogSnapshot now) =>
        new(verb, now.NameOf(from), now.NameOf(to), nics.Describe(nic, now));

    private async Task ProposeAsync(ReplicatedCommand command, string nic, CancellationToken token)
    {
        ReplicatedResult result;
        try
        {
            result = await proposals.ProposeAsync(command, LogPatience, token);
        }
        catch (RefusedException e) when (e.Problem.Code == ErrorCode.Unavailable)
        {
            throw quorum.NoQuorum($"only the cluster's log can say whose NIC '{nic}' is, and it does not answer; what was asked for may still happen", "");
        }

        if (result is ReplicatedResult.Refused refused)
        {
            throw new RefusedException(NicService.CodeOf(refused.Code), refused.Text, [$"NIC: {nic}"], "kctl get nics");
        }
    }

    private async Task WaitAsync(Func<CatalogSnapshot, bool> isTrue, TimeSpan patience, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            await catalog.Current.WhenAsync(isTrue, both.Token);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // Whoever waited looks at what there is.
        }
    }
}
