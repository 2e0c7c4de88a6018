using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;
using Kcore.TestKit.Histories;

namespace Kcore.Simulation.Raft;

// All else that can be asked of the allocator, on a small network whose addresses are given again: requests that are given
// up and released while they are still on their way, the clock, orphans and who adopts or releases them, comparisons.
internal sealed partial class ScriptedClients
{
    private static readonly ReplicatedCommand.CreatePool ReusingPool =
        Pool(3, "reused", "10.252.0.0/29", "10.252.0.1") with { Reuse = AddressReuse.Quarantine };

    private readonly List<HistoryOperation> _reuses = [];
    private readonly List<ReplicatedCommand.Allocate> _kept = [];
    private readonly HashSet<AttachmentId> _givenUp = [];
    private uint _keeping;

    /// <summary>Requests of this kind that may still be begun.</summary>
    public int UpkeepBudget { get; set; }

    public int Comparisons { get; private set; }

    /// <summary>Requests for the addresses that are given again. Their order is the naive allocator's to check.</summary>
    public IReadOnlyList<HistoryOperation> Reuses => _reuses;

    /// <summary>Attachments whose release was answered: none of them may hold anything.</summary>
    public IReadOnlyCollection<AttachmentId> GivenUp => _givenUp;

    /// <summary>Addresses that had more than one holder, one after the other.</summary>
    public int ReusedCount => _reuses.Where(o => o.Answer == AnswerKind.Granted).GroupBy(o => o.Address, StringComparer.Ordinal).Count(g => g.Count() > 1);

    public void StartUpkeep(int clients)
    {
        bool isMade = false;
        Request(group.Members[0], ReusingPool, _ =>
        {
            for (int i = 0; i < clients && !isMade; i++)
            {
                SimulatedMember home = group.Members[i % group.Members.Length];
                group.Clock.After(group.Random.Next(ThinkMicros), () => NextUpkeep(home));
            }

            isMade = true;
        });
    }

    private void NextUpkeep(SimulatedMember home)
    {
        if (UpkeepBudget <= 0)
        {
            return;
        }

        UpkeepBudget--;
        ReplicatedCommand.Allocate? lease = _kept.Count > 0 ? _kept[group.Random.Next(_kept.Count)] : null;
        switch (group.Random.Next(20))
        {
            case < 8:
                Attach(home);
                break;
            case < 11 when lease is not null:
                _kept.Remove(lease);
                Give(home, lease, new ReplicatedCommand.Release(lease.Attachment, lease.NodeUid, lease.Network));
                break;
            case < 15:
                Tell(home, life => new ReplicatedCommand.AdvanceClock(life.Applied, life.State.Clock + (ulong)group.Random.Next(400_000)));
                break;
            case 15 when lease is not null:
                Tell(home, _ => new ReplicatedCommand.MarkOrphaned(lease.Attachment, lease.NodeUid));
                break;
            case 16 when lease is not null:
                Tell(home, _ => new ReplicatedCommand.Adopt(lease.Attachment, lease.NodeUid));
                break;
            case 17 when lease is not null:
                Give(home, lease, new ReplicatedCommand.ReleaseOrphan(lease.Attachment));
                break;
            case 18:
                Tell(home, _ => new ReplicatedCommand.Reclaim(ReusingPool.Network));
                break;
            default:
                Compare(home);
                break;
        }
    }

    private void Attach(SimulatedMember home)
    {
        uint number = ++_keeping;
        var lease = new ReplicatedCommand.Allocate(
            new AttachmentId(new Guid(number, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3)),
            ReusingPool.Network,
            $"kept-{number}",
            new PhysicalAddress([6, 0, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]),
            home.NodeUid,
            null,
            (home.Life?.Node.CommitIndex ?? 0) + ReplicatedState.RequestLifetime);
        int place = Note(AddressAction.Allocate, lease);
        Func<bool> end = Request(home, lease, result =>
        {
            string? address = (result as ReplicatedResult.Granted)?.Address.ToString();
            Note(place, address is not null ? AnswerKind.Granted : result is ReplicatedResult.Refused { Code: RefusalCode.ResourceExhausted } ? AnswerKind.Exhausted : AnswerKind.Refused, address);
            if (address is not null)
            {
                group.Record.NoteAnswered(lease.Attachment, address);
                _kept.Add(lease);
            }

            ThinkOfUpkeep(home);
        });

        // The guest is gone again before its address has come.
        if (group.Random.Next(3) == 0)
        {
            group.Clock.After(group.Random.Next(400_000), () =>
            {
                if (end())
                {
                    Give(home, lease, new ReplicatedCommand.Release(lease.Attachment, lease.NodeUid, lease.Network));
                }
            });
        }
    }

    // Ends a lease, as far as it is there and may be ended.
    private void Give(SimulatedMember home, ReplicatedCommand.Allocate lease, ReplicatedCommand command)
    {
        int place = Note(AddressAction.Release, lease);
        Request(home, command, result =>
        {
            bool isEnded = result is ReplicatedResult.Done;
            Note(place, isEnded ? AnswerKind.Released : AnswerKind.Refused, null);
            if (isEnded)
            {
                _kept.Remove(lease);
                _givenUp.Add(lease.Attachment);
            }

            ThinkOfUpkeep(home);
        });
    }

    private void Tell(SimulatedMember home, Func<MemberLife, ReplicatedCommand> command)
    {
        if (home.Life is not { } life)
        {
            ThinkOfUpkeep(home);
            return;
        }

        Request(home, command(life), _ => ThinkOfUpkeep(home));
    }

    // The leader's answer to the first is what the second tells everybody; the record sees that all members answer alike.
    private void Compare(SimulatedMember home) => Request(home, new ReplicatedCommand.HashState(), result =>
    {
        if (result is not ReplicatedResult.Hashed hashed)
        {
            throw new InvariantException($"P24: a hash was answered with {result}.");
        }

        Request(home, new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash), _ =>
        {
            Comparisons++;
            ThinkOfUpkeep(home);
        });
    });

    /// <returns>Gives the request up; false if it was answered before.</returns>
    private Func<bool> Request(SimulatedMember home, ReplicatedCommand command, Action<ReplicatedResult> then)
    {
        bool isOver = false;
        Waiting++;
        Ask(
            home,
            command,
            result =>
            {
                if (End())
                {
                    Answered++;
                    then(result);
                }
            },
            () => isOver);
        return End;

        bool End()
        {
            bool isFirst = !isOver;
            isOver = true;
            Waiting -= isFirst ? 1 : 0;
            return isFirst;
        }
    }

    private void ThinkOfUpkeep(SimulatedMember home) => group.Clock.After(group.Random.Next(ThinkMicros), () => NextUpkeep(home));

    private int Note(AddressAction action, ReplicatedCommand.Allocate lease)
    {
        _reuses.Add(new HistoryOperation(
            lease.Network.ToString(), action, lease.Attachment.ToString(), null, group.Clock.Now, HistoryOperation.Never, AnswerKind.Unknown, null));
        return _reuses.Count - 1;
    }

    private void Note(int place, AnswerKind kind, string? address) =>
        _reuses[place] = _reuses[place] with { Returned = group.Clock.Now, Answer = kind, Address = address };
}
