using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Founding;

internal sealed partial class ClusterLoop
{
    /// <summary>Takes part in the cluster until it dissolves.</summary>
    private async Task BeMemberAsync(ClusterRef cluster, SightingFeed sightings, CancellationToken token)
    {
        parts.Identity.RememberName(parts.NodeName);
        using CancellationTokenSource membership = CancellationTokenSource.CreateLinkedTokenSource(token);
        using GossipLoop gossip = MakeGossip(cluster);
        _gossip = gossip;
        Task running = gossip.RunAsync(membership.Token);
        bool dissolved = false;
        try
        {
            foreach (string contact in parts.Identity.RememberedContacts())
            {
                if (IPEndPoint.TryParse(contact, out IPEndPoint? endpoint))
                {
                    // Also on a stream, where a node that was removed while it was away is told so.
                    _rendezvous.Add(endpoint);
                    gossip.TryPost(new GossipInput.Contact(endpoint));
                }
            }

            await parts.Ledger.OpenAsync(cluster, token);
            State.Replace(new ClusterState(ClusterPhase.Member, cluster, [], null));
            dissolved = await WatchAsync(cluster, gossip, running, sightings, token);
        }
        finally
        {
            _gossip = null;
            await parts.Ledger.CloseAsync(discard: dissolved || parts.Twins.Yields || parts.Identity.Departure != Departure.None);
            await membership.CancelAsync();
            await running;
        }
    }

    /// <summary>
    /// Outside of every cluster, until a reset. It says goodbye to nobody any more: the log has said it.
    /// </summary>
    private async Task StayOutAsync(Departure departure, SightingFeed sightings, CancellationToken token)
    {
        Log.Out(_logger, parts.Identity.Cluster?.Id, departure);
        State.Replace(new ClusterState(
            departure == Departure.Left ? ClusterPhase.Left : ClusterPhase.Removed,
            null,
            [],
            departure == Departure.Left ? "this node has left its cluster (kctl node reset, or kctl cluster join TOKEN)" : "this node was removed from its cluster (kctl node reset, or kctl cluster join TOKEN)"));
        View.Replace(NoMembers);
        Announce(null);
        while (true)
        {
            StartAgainIfAsked();
            TakeCallers();
            await sightings.WaitAsync(MemberPace, parts.Time, token);
        }
    }

    /// <summary>Tells those who have not heard of it that this node goes, and waits until they may have.</summary>
    private async Task SayGoodbyeAsync(GossipLoop gossip, CancellationToken token)
    {
        gossip.TryPost(new GossipInput.Leave());
        await Task.Delay(Linger, parts.Time, token);
    }

    private GossipLoop MakeGossip(ClusterRef cluster)
    {
        AdvertisedAddress.Chosen address = parts.Underlay.Current.Advertised;
        long started = parts.Time.GetTimestamp();
        (List<OriginHead> heads, List<CatalogEntry> entries) = parts.Catalog.Load();
        var self = new LocalMember(
            parts.Identity.Id,
            parts.Identity.BootEpoch,
            parts.Identity.BootNonce,
            new IPEndPoint(address.Address, parts.Options.GossipPort),
            (ushort)parts.Options.RaftPort,
            parts.NodeName);
        var scope = new ClusterScope(Uid.FromGuid(cluster.Id), cluster.Epoch);
        return new GossipLoop(new GossipLoopParts
        {
            Core = new GossipCore(
                parts.Membership.Profile == "lan-safe" ? GossipOptions.LanSafe : GossipOptions.Lan, self, new CatalogState(heads, entries), new Random(RandomNumberGenerator.GetInt32(int.MaxValue)), TimeSpan.Zero),
            Socket = new SealedSocket(
                parts.Options.GossipPort, parts.Identity.Id, parts.Identity.BootEpoch, parts.Ring, scope, parts.PeerKeys, parts.Time, started, _logger),
            Connector = parts.Connector,
            Scope = scope,
            Store = parts.Catalog,
            Identity = parts.Identity,
            View = View,
            Observer = parts.Observer,
            Time = parts.Time,
            Started = started,
            Logger = _logger,
        });
    }

    /// <summary>True when the cluster has dissolved; false when it goes on without this node.</summary>
    private async Task<bool> WatchAsync(ClusterRef cluster, GossipLoop gossip, Task running, SightingFeed sightings, CancellationToken token)
    {
        ImmutableArray<(string, int)> seeds = Seeds.Parse(parts.Options.Join, parts.Options.GossipPort);
        AdvertisedAddress.Chosen advertised = parts.Underlay.Current.Advertised;
        (ClusterRef, bool, int)? announced = null;
        TimeSpan resolveAt = TimeSpan.Zero;
        while (true)
        {
            if (running.IsCompleted)
            {
                await running;
                token.ThrowIfCancellationRequested();
                throw new InvalidOperationException("the gossip loop ended by itself");
            }

            if (parts.Identity.Departure == Departure.None && parts.Ledger.IsRemoved(parts.Identity.Id))
            {
                parts.Identity.Depart();
            }

            if (parts.Identity.Departure != Departure.None)
            {
                await SayGoodbyeAsync(gossip, token);
                return false;
            }

            // A cluster never ends for itself: right after a change of clusters the old one's end may still be in the view.
            if (parts.Ledger.DissolvedInto is { } target && target != cluster.Id)
            {
                Log.Dissolved(_logger, cluster.Id, target);
                RememberEnd(cluster);
                return true;
            }

            if (announced != (cluster, parts.Ledger.IsVirgin, parts.Ring.Version))
            {
                announced = (cluster, parts.Ledger.IsVirgin, parts.Ring.Version);
                Announce(cluster);
                LookAround();
            }

            if (parts.Underlay.Current.Advertised != advertised)
            {
                advertised = parts.Underlay.Current.Advertised;
                gossip.TryPost(new GossipInput.Readvertise(new IPEndPoint(advertised.Address, parts.Options.GossipPort)));
            }

            if (resolveAt <= Now())
            {
                await _rendezvous.ResolveAsync(seeds, token);
                resolveAt = Now() + SeedPace;
            }

            _undecidedSince = parts.Ledger.Decides ? null : _undecidedSince ?? Now();
            StartAgainIfAsked();
            TakeCallers();
            await IntroduceTwinsAsync(token);
            if (await MeetOthersAsync(cluster, gossip, token))
            {
                RememberEnd(cluster);
                return true;
            }

            if (parts.Identity.Cluster != cluster)
            {
                // It went over to a later epoch; what it says of itself stays.
                return false;
            }

            await sightings.WaitAsync(MemberPace, parts.Time, token);
        }
    }

    /// <summary>Has two starts of one node look for each other: they can tell what of it is true.</summary>
    private async Task IntroduceTwinsAsync(CancellationToken token)
    {
        while (parts.Twins.Suspects.TryRead(out (NodeId Node, IPEndPoint Other) suspect))
        {
            if (suspect.Node == parts.Identity.Id)
            {
                _rendezvous.Add(suspect.Other);
            }
            else if (View.Current.Members.Find(suspect.Node) is { } known && !known.Endpoint.Equals(suspect.Other))
            {
                await Task.WhenAll(
                    _rendezvous.TellAsync(known.Endpoint, OwnHello() with { Twin = suspect.Other }, token),
                    _rendezvous.TellAsync(suspect.Other, OwnHello() with { Twin = known.Endpoint }, token));
            }
        }
    }

    private void RememberEnd(ClusterRef cluster) => _ended = [cluster.Id, .. _ended.Take(HelloMessage.EndedMax - 1)];

    /// <summary>True when somebody who saw it tells that this cluster has ended.</summary>
    private async Task<bool> MeetOthersAsync(ClusterRef cluster, GossipLoop gossip, CancellationToken token)
    {
        // Members are met by gossip; but whom none of them answers, because another start of the same node is there for
        // them, has to ask on a stream what is wrong. A stream ping may still be answered, so that gossip sees no trouble.
        ImmutableArray<IPEndPoint> members = [.. View.Current.Members.Members.Where(m => m.IsActive && m.Id != parts.Identity.Id).Select(m => m.Endpoint)];
        bool isUnheard = parts.Time.GetElapsedTime(gossip.LastDatagram) >= UnheardAfter;
        if (isUnheard)
        {
            foreach (IPEndPoint member in members)
            {
                _rendezvous.Add(member);
            }
        }

        HashSet<IPEndPoint> met = isUnheard ? [] : [.. members];
        var conflicts = new SortedSet<string>(StringComparer.Ordinal);

        // A cluster that may still end for another one looks for it more often.
        TimeSpan pause = parts.Ledger.IsVirgin ? VirginPause : MemberPause;
        List<Encounter> encounters = await _rendezvous.AskAsync(OwnHello(), c => !met.Contains(c.Endpoint), pause, Now(), token);

        if (isUnheard)
        {
            OutlastTwin(encounters);
        }

        // Who held this cluster's log went on to another cluster before everybody here had heard of its end; without a
        // quorum nobody can commit that a second time. A cluster that gave anything out cannot have ended.
        if (parts.Ledger.IsVirgin && encounters.Find(e => e.Hello is { Cluster: not null, Ended.IsDefault: false } hello && hello.Ended.Contains(cluster.Id)) is { } witness)
        {
            Log.Dissolved(_logger, cluster.Id, witness.Hello.Cluster!.Value.Id);
            return true;
        }

        if (encounters.Exists(e => e.Hello is { Removed: true, Cluster: { } theirs } && theirs.Id == cluster.Id))
        {
            parts.Identity.Depart();
            return false;
        }

        foreach (Encounter encounter in encounters)
        {
            if (encounter.Hello.Cluster is not { } other)
            {
                continue;
            }

            if (other == cluster)
            {
                gossip.TryPost(new GossipInput.Contact(encounter.Endpoint));
                continue;
            }

            if (other.Id == cluster.Id)
            {
                switch (MeetingRule.DecideEpochs(cluster.Epoch, parts.Ledger.Decides, other.Epoch, encounter.Hello.Decides))
                {
                    case MeetingOutcome.Follow when _undecidedSince is { } since && Now() - since >= UndecidedBeforeFollowing:
                        if (await TryJoinAsync(encounter.Endpoint, token) is not null)
                        {
                            Log.Followed(_logger, cluster.Epoch, other.Epoch);
                            return false;
                        }

                        break;
                    case MeetingOutcome.Conflict:
                        conflicts.Add($"this cluster was recovered in epoch {Math.Max(cluster.Epoch, other.Epoch)} while most voters of epoch {Math.Min(cluster.Epoch, other.Epoch)} still decide (node {encounter.Hello.Name} at {encounter.Endpoint})");
                        break;
                    default:
                        break;
                }

                continue;
            }

            switch (MeetingRule.Decide(cluster.Id, parts.Ledger.IsVirgin, other.Id, encounter.Hello.Virgin))
            {
                case MeetingOutcome.Yield:
                    await parts.Ledger.DissolveAsync(other.Id, token);
                    break;
                case MeetingOutcome.Conflict:
                    conflicts.Add($"cluster {other.Id:N} (node {encounter.Hello.Name} at {encounter.Endpoint}) has the same key and addresses of its own");
                    break;
                default:
                    break;
            }
        }

        if (conflicts.Count > 0 && !conflicts.IsSubsetOf(State.Current.Conflicts))
        {
            foreach (string conflict in conflicts)
            {
                Log.Conflict(_logger, cluster.Id, conflict);
            }

            State.Replace(State.Current with { Conflicts = [.. State.Current.Conflicts.Union(conflicts, StringComparer.Ordinal)] });
        }

        return false;
    }
}
