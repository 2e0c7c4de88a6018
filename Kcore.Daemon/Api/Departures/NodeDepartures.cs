using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Daemon.Storage.Events;

namespace Kcore.Daemon.Api.Departures;

/// <summary>
/// The end of this node's membership, as its operator asks for it: drain, leave, reset. A leave is decided by one entry of
/// the log; before it everything can be taken back, after it everything follows by itself, whoever crashes.
/// </summary>
internal sealed class NodeDepartures(
    LocalNode self,
    NodeIdentity identity,
    ClusterLoop cluster,
    CatalogHub catalog,
    AttachmentTable attachments,
    ReserveStore reserve,
    ProposalClient proposals,
    QuorumSight quorum,
    ClusterReports reports,
    DataplaneFeed feed,
    DataplaneReports kernel,
    EventLog events,
    TimeProvider time) : IDisposable
{
    private static readonly TimeSpan ReleasePatience = TimeSpan.FromSeconds(8);

    /// <summary>After a split or the death of a leader there may be another one, of whom this node has not heard yet.</summary>
    private static readonly TimeSpan QuorumPatience = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan VotePatience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LogPatience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan KernelPatience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);

    // One at a time: two calls that change the node's duty would undo each other.
    private readonly SemaphoreSlim _turn = new(1, 1);

    public async Task<ChangeReceipt> DrainAsync(DrainRequest request, CancellationToken token)
    {
        await _turn.WaitAsync(token);
        try
        {
            ThrowIfOut();
            Duty wanted = request.Undo ? Duty.Serving : Duty.Drained;
            bool isNews = identity.Duty != wanted;
            if (isNews)
            {
                identity.Duty = wanted;
                events.Add(
                    request.Undo ? "NodeUndrained" : "NodeDrained",
                    request.Undo ? $"node {self.Name} takes NICs again" : $"node {self.Name} takes no new NICs and hands its vote on",
                    self.Id.ToString());
            }

            return new ChangeReceipt(!isNews ? "unchanged" : request.Undo ? "undrained" : "drained", "Node", self.Name, self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ChangeReceipt> LeaveAsync(LeaveRequest request, CancellationToken token)
    {
        await _turn.WaitAsync(token);
        try
        {
            if (identity.Departure != Departure.None)
            {
                return new ChangeReceipt("unchanged", "Node", self.Name, self.Name);
            }

            if (cluster.State.Current.Phase != ClusterPhase.Member)
            {
                throw new RefusedException(ErrorCode.FailedPrecondition, $"node {self.Name} is in no cluster yet", next: "kctl status");
            }

            if (!catalog.Current.Current.View.Admissions.Any(a => a.Node != self.Id))
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition, $"node {self.Name} is all there is of its cluster, so there is nobody to leave it to", next: "kctl node reset begins anew; what the cluster knows is lost");
            }

            Duty before = identity.Duty;
            identity.Duty = Duty.Leaving;
            await PrepareAsync(request.Force, before, token);
            await RemoveAsync(request.Force, before);
            identity.Depart();
            events.Add("NodeLeft", $"node {self.Name} has left its cluster", self.Id.ToString());
            await TryAsync(t => cluster.State.WhenAsync(s => s.Phase != ClusterPhase.Member, t), LogPatience, token);
            await KernelIsEmptyAsync(token);
            return new ChangeReceipt("left", "Node", self.Name, self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ChangeReceipt> ResetAsync(ResetRequest request, CancellationToken token)
    {
        await _turn.WaitAsync(token);
        try
        {
            if (!request.Force)
            {
                CheckReset();
            }

            feed.IsCleared = true;
            try
            {
                if (!await KernelIsEmptyAsync(token) && !request.Force)
                {
                    throw new RefusedException(
                        ErrorCode.Unavailable, $"the devices of node {self.Name} could not all be taken away", [kernel.Status.Current.Error ?? "see kctl plan"], "kctl plan");
                }

                identity.AskForReset(request.ForgetKey ? ResetScope.WithKey : ResetScope.KeepKey);
            }
            catch
            {
                feed.IsCleared = false;
                throw;
            }

            cluster.Reset();
            return new ChangeReceipt("reset", "Node", self.Name, self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    /// <summary>A node that is out of its cluster got a token: it joins as a new one. False for every other node.</summary>
    public bool JoinAnew()
    {
        if (identity.Departure == Departure.None)
        {
            return false;
        }

        identity.AskForReset(ResetScope.JoinAnew);
        cluster.Reset();
        return true;
    }

    /// <summary>No NICs, no leases, no vote. Everything until here can be taken back, and is when it does not succeed.</summary>
    private async Task PrepareAsync(bool force, Duty before, CancellationToken token)
    {
        try
        {
            AttachmentRecord[] left = [.. Present()];
            if (left.Length > 0 && !force)
            {
                throw InUse(left);
            }

            // Asked of the leader: a node that was killed after it gave up its vote may still take itself for a voter.
            if (!await TryAsync(QuorumSeenAsync, QuorumPatience, token))
            {
                throw quorum.NoQuorum($"the cluster cannot let node {self.Name} go now", "");
            }

            foreach (AttachmentRecord record in left)
            {
                attachments.Change(now => now.Records.TryGetValue(record.Id, out AttachmentRecord? present) ? present with { Releasing = true } : null);
            }

            if (!await TryAsync(t => attachments.Current.WhenAsync(s => s.Records.IsEmpty, t), ReleasePatience, token))
            {
                throw new RefusedException(
                    ErrorCode.Unavailable,
                    $"the addresses of node {self.Name} could not be given back yet",
                    [.. attachments.Current.Current.Records.Values.Select(r => $"NIC {r.Name} on {r.NetworkName}")],
                    "kctl cluster status; then repeat");
            }

            // With what is left of it the cluster does as with that of a node that is gone: nobody gets it.
            await TryAsync(t => reserve.Current.WhenAsync(b => b.Rows.IsEmpty, t), ReleasePatience, token);
            if (!await TryAsync(VotesNoMoreAsync, VotePatience, token))
            {
                throw new RefusedException(
                    ErrorCode.Unavailable,
                    $"node {self.Name} votes, and no other node can take its place",
                    next: "kctl cluster status shows who is behind or silent; then repeat");
            }
        }
        catch
        {
            identity.Duty = before;
            throw;
        }
    }

    /// <summary>The decision. Not given up with the caller: an entry that was proposed may be committed at any time.</summary>
    private async Task RemoveAsync(bool force, Duty before)
    {
        // Without an answer the duty stays: if it was committed after all, the node finds itself removed while it left.
        ReplicatedResult result = await proposals.ProposeAsync(
            new ReplicatedCommand.NodeRemove(Uid.ToGuid(self.Id.Value), force), LogPatience, CancellationToken.None);
        if (result is ReplicatedResult.Refused refused)
        {
            identity.Duty = before;
            throw new RefusedException(NicService.CodeOf(refused.Code), refused.Text);
        }
    }

    private void CheckReset()
    {
        AttachmentRecord[] present = [.. Present()];
        if (present.Length > 0)
        {
            throw InUse(present);
        }

        if (cluster.State.Current.Phase != ClusterPhase.Member)
        {
            return;
        }

        CatalogSnapshot now = catalog.Current.Current;
        ImmutableArray<string> others = [.. now.View.Admissions.Where(a => a.Node != self.Id).Select(a => $"member {a.Name}").Order(StringComparer.Ordinal)];
        if (!others.IsEmpty)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"node {self.Name} is a member of a cluster with {others.Length} other node{(others.Length == 1 ? "" : "s")}",
                others,
                "kctl node leave first; or kctl node reset --force, and kctl node remove on one of the others");
        }

        ImmutableArray<string> networks = [.. now.View.Networks.Keys.Select(n => $"network {n}")];
        if (!networks.IsEmpty)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition, $"node {self.Name} is all there is of its cluster: its networks would be lost", networks, "kctl delete network NAME, or kctl node reset --force");
        }
    }

    /// <summary>What is attached now. An attach under way has either stored its NIC before this, or sees the duty.</summary>
    private IEnumerable<AttachmentRecord> Present()
    {
        AttachmentSet? seen = null;
        attachments.Change(now =>
        {
            seen = now;
            return null;
        });
        return seen!.Wanted.OrderBy(r => r.NetworkName, StringComparer.Ordinal).ThenBy(r => r.Name, StringComparer.Ordinal);
    }

    private RefusedException InUse(IReadOnlyCollection<AttachmentRecord> present) => new(
        ErrorCode.FailedPrecondition,
        $"node {self.Name} has {present.Count} NIC{(present.Count == 1 ? "" : "s")}",
        [.. present.Select(r => $"NIC {r.Name} on network {r.NetworkName}")],
        "kctl detach nic NAME --network NETWORK, or repeat with --force: that cuts their guests off");

    private void ThrowIfOut()
    {
        if (identity.Departure != Departure.None)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, $"node {self.Name} is out of its cluster", next: "kctl node reset");
        }
    }

    private async Task QuorumSeenAsync(CancellationToken token)
    {
        while (!(await reports.ReportAsync(token)).Quorum)
        {
            await Task.Delay(Pace, time, token);
        }
    }

    /// <summary>Only the leader's word counts: who is out of the voters may not be told any more.</summary>
    private async Task VotesNoMoreAsync(CancellationToken token)
    {
        string id = self.Id.ToString();
        while (true)
        {
            ClusterReport report = await reports.ReportAsync(token);
            if (report is { Source: "leader", Changing: false } && report.Voters.All(v => v.NodeId != id))
            {
                return;
            }

            await Task.Delay(Pace, time, token);
        }
    }

    private async Task<bool> KernelIsEmptyAsync(CancellationToken token) =>
        await TryAsync(
            async t =>
            {
                await feed.Intended.WhenAsync(i => i.Intent is null or { Overlays.IsEmpty: true, Locals.IsEmpty: true }, t);
                await kernel.Status.WhenAsync(s => s.Networks.IsEmpty && s.Error is null, t);
            },
            KernelPatience,
            token);

    /// <summary>False when time was up.</summary>
    private async Task<bool> TryAsync(Func<CancellationToken, Task> wait, TimeSpan patience, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            await wait(both.Token);
            return true;
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            return false;
        }
    }
}
