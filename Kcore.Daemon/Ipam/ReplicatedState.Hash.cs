using System.Buffers.Binary;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

/// <summary>How the latest comparison of a member's state with the leader's ended.</summary>
/// <param name="Index">The log index at which both were hashed.</param>
/// <param name="IsEqual">False for ever after the first difference: nothing repairs it.</param>
public sealed record StateComparison(ulong Index, bool IsEqual);

// That all members compute alike is what everything here rests on, so it is looked at. A difference is reported and left as
// it is: which of two states is right no machine can tell.
public sealed partial class ReplicatedState
{
    // Entries may lie between a hash and its comparison, and leaders may change.
    private const int HashesMax = 4;

    // Of this member alone, and not of the state: a member that restored a snapshot in between has none.
    private readonly SortedDictionary<ulong, UInt128> _hashes = [];

    private volatile StateComparison? _comparison;

    /// <summary>Null before the first. Any thread.</summary>
    public StateComparison? Comparison => _comparison;

    private Outcome HashState(ulong index)
    {
        UInt128 hash = BinaryPrimitives.ReadUInt128BigEndian(StateHash().AsSpan());
        if (_hashes.Count == HashesMax)
        {
            _hashes.Remove(_hashes.Keys.First());
        }

        _hashes[index] = hash;
        return new Outcome(new ReplicatedResult.Hashed(index, hash), []);
    }

    private Outcome Apply(ReplicatedCommand.CompareState compare)
    {
        if (!_hashes.TryGetValue(compare.Index, out UInt128 own))
        {
            return Unchanged;
        }

        bool isEqual = own == compare.Hash;
        if (_comparison is null or { IsEqual: true })
        {
            _comparison = new StateComparison(compare.Index, isEqual);
        }

        return isEqual ? Unchanged : Change(new ReplicatedChange.StateDiffers(compare.Index, own, compare.Hash));
    }
}
