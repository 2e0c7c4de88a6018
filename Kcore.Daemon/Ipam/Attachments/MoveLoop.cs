using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>Does this node's part of every move, as <see cref="MoveRules"/> says: first on its own disk, then it tells the log.</summary>
internal sealed partial class MoveLoop(
    LocalNode self, NodeIdentity identity, AttachmentTable table, CatalogHub catalog, ProposalClient proposals, EventLog events, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Recheck = TimeSpan.FromSeconds(1);

    /// <summary>
    /// A move this daemon has seen is over when it is gone from the catalog. One that it has not may still arrive after the start, and a
    /// device that was prepared is not to go and come meanwhile.
    /// </summary>
    private static readonly TimeSpan UnseenWait = TimeSpan.FromSeconds(10);

    private readonly HashSet<UInt128> _seen = [];

    // What was taken up and detached again is not made once more, if the log is slow to hear of it.
    private readonly HashSet<UInt128> _takenUp = [];
    private readonly Dictionary<UInt128, TimeSpan> _missedSince = [];
    private readonly Dictionary<UInt128, Task> _telling = [];
    private readonly long _started = time.GetTimestamp();

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (CatalogSnapshot facts, long revision) = catalog.Current.Read();
            (AttachmentSet set, long setRevision) = table.Current.Read();
            foreach (UInt128 done in _telling.Where(p => p.Value.IsCompleted).Select(p => p.Key).ToList())
            {
                await _telling[done];
                _telling.Remove(done);
            }

            bool waits = false;
            foreach (MoveStep step in MoveRules.Due(self.Id, facts.View, set))
            {
                waits = true;
                Do(step, facts, stoppingToken);
            }

            waits |= Discard(facts, set);

            // What did not happen must not stay registered: this comes by again and again for as long as the daemon lives.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            List<Task> wakes = [catalog.Current.ChangedSince(revision, woken.Token), table.Current.ChangedSince(setRevision, woken.Token)];
            if (waits)
            {
                wakes.Add(Task.Delay(Recheck, time, woken.Token));
            }

            await Task.WhenAny(wakes);
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    private void Do(MoveStep step, CatalogSnapshot facts, CancellationToken token)
    {
        try
        {
            MoveFact move = step.Move;
            switch (step)
            {
                case MoveStep.Make when !_takenUp.Contains(move.Move):
                    Make(move, facts.View);
                    break;
                case MoveStep.TakeUp:
                    TakeUp(move, facts);
                    break;
                case MoveStep.LetGo:
                    table.Remove(move.AttachmentId);
                    Log.LetGo(logger, move.Name, facts.NameOf(move.To));
                    break;
                default:
                    if (!_telling.ContainsKey(move.Move))
                    {
                        _telling[move.Move] = TellAsync(move, token);
                    }

                    break;
            }
        }
        catch (StorageException e)
        {
            Log.Waiting(logger, step.Move.Name, e.Message);
        }
    }

    private void Make(MoveFact move, CatalogView view)
    {
        if (!view.NetworksByUid.TryGetValue(move.Network, out Network? network))
        {
            return;
        }

        AttachmentRecord? made = table.Change(set =>
        {
            // Looked at here and not before, as for a NIC that is attached. What is this node's already is made whatever it is about to do.
            if (move.IsPending && (identity.Duty != Duty.Serving || identity.Departure != Departure.None))
            {
                return null;
            }

            // Two NICs of one name or MAC are not told apart on a bridge; who is there was there first.
            if (set.Wanted.Any(r => r.Id != move.AttachmentId && r.Network == move.Network && (r.Name == move.Name || r.Mac.Equals(move.Mac))))
            {
                return null;
            }

            AttachmentRecord? before = set.Records.GetValueOrDefault(move.AttachmentId);
            string? seed = before is null ? set.FreeSeed(move.Name) : null;
            string? device = before?.Device ?? (seed is null ? null : move.Netns is null ? DerivedNames.Tap(seed) : DerivedNames.NamespacePort(seed));
            return device is null ? null : new AttachmentRecord
            {
                Id = move.AttachmentId,
                Network = move.Network,
                NetworkName = network.Name,
                Name = move.Name,
                Mac = move.Mac,
                Device = device,
                Netns = move.Netns,
                Ifname = move.Ifname,
                Address = move.Address,
                Local = network.Home is not null,
                AllowSpoofing = move.AllowSpoofing,
                PreparedFor = move.Move,
            };
        });
        if (made is null)
        {
            Log.NotMade(logger, move.Name, network.Name);
        }
    }

    private void TakeUp(MoveFact move, CatalogSnapshot facts)
    {
        AttachmentRecord? taken = table.Change(set => set.Records.TryGetValue(move.AttachmentId, out AttachmentRecord? record)
            ? record with { PreparedFor = null, Since = move.HandedOver }
            : null);
        if (taken is not null && _takenUp.Add(move.Move))
        {
            events.Add(
                "NicMoved",
                $"NIC {move.Name} on {taken.NetworkName}{(move.Address is null ? "" : $", with {move.Address},")} came from node {facts.NameOf(move.From)} to node {self.Name}",
                self.Id.ToString(),
                taken.NetworkName,
                ("mac", DerivedNames.MacText(move.Mac)),
                ("from", facts.NameOf(move.From)),
                ("to", self.Name));
        }
    }

    private bool Discard(CatalogSnapshot facts, AttachmentSet set)
    {
        _seen.UnionWith(facts.View.Moves.Select(m => m.Move));
        TimeSpan now = time.GetElapsedTime(_started);
        AttachmentRecord[] abandoned = [.. MoveRules.Abandoned(facts.View, set)];
        foreach (UInt128 found in _missedSince.Keys.Except(abandoned.Select(r => r.Id)).ToArray())
        {
            _missedSince.Remove(found);
        }

        foreach (AttachmentRecord record in abandoned)
        {
            _missedSince.TryAdd(record.Id, now);

            // Without the log's word that this node belongs to the cluster, the catalog is not there yet.
            bool isOver = _seen.Contains(record.PreparedFor!.Value)
                || (now - _missedSince[record.Id] >= UnseenWait && facts.View.Admissions.Any(a => a.Node == self.Id));
            if (isOver)
            {
                table.Remove(record.Id);
                Log.Abandoned(logger, record.Name, record.NetworkName);
            }
        }

        return abandoned.Length > 0;
    }

    private async Task TellAsync(MoveFact move, CancellationToken token)
    {
        try
        {
            await proposals.ProposeAsync(new ReplicatedCommand.AcknowledgeMove(Uid.ToGuid(move.Move), Uid.ToGuid(self.Id.Value)), Patience, token);

            // The catalog follows the log within moments, and until it does the same would be asked again.
            await Task.Delay(Recheck, time, token);
        }
        catch (RefusedException e)
        {
            Log.Waiting(logger, move.Name, e.Message);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // The daemon stops; the next start finds the move as it is.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1280, LogLevel.Information, "NIC {Nic} was handed over to node {Node}; it is let go of here")]
        public static partial void LetGo(ILogger logger, string nic, string node);

        [LoggerMessage(1281, LogLevel.Information, "The move of NIC {Nic} on {Network} to this node was given up")]
        public static partial void Abandoned(ILogger logger, string nic, string network);

        [LoggerMessage(1282, LogLevel.Warning, "NIC {Nic}, which moves, waits: {Cause}")]
        public static partial void Waiting(ILogger logger, string nic, string cause);

        [LoggerMessage(1283, LogLevel.Warning, "NIC {Nic} on {Network} cannot come to this node: the node is drained, another NIC has its name or MAC, or there are too many of its name")]
        public static partial void NotMade(ILogger logger, string nic, string network);
    }
}
