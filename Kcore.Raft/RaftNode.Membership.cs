namespace Kcore.Raft;

// Who takes part. A configuration is in effect from the moment it is appended and goes with its entry when that is
// truncated; a change of voters always passes through a joint configuration.
public sealed partial class RaftNode
{
    private ulong _termStart;

    /// <summary>The configuration in effect: the newest in the log, committed or not.</summary>
    public Configuration Configuration => _configurations.Current;

    /// <summary>The entry that made <see cref="Configuration"/>.</summary>
    public ulong ConfigurationIndex => _configurations.CurrentIndex;

    /// <summary>True if the configuration in effect can't be taken back any more.</summary>
    public bool IsConfigurationCommitted => ConfigurationIndex <= _log.Committed;

    /// <summary>True on a leader that has committed an entry of its own term, and with it all that earlier terms left.</summary>
    public bool HasCommittedInTerm => Role == RaftRole.Leader && _log.Committed >= _termStart;

    /// <summary>
    /// Begins to change the configuration to <paramref name="target"/>. If the voters change, a joint configuration is
    /// appended now and left as soon as it is committed, by whoever leads then. The change is over when
    /// <see cref="Configuration"/> equals the target and <see cref="IsConfigurationCommitted"/>.
    /// </summary>
    /// <param name="target">Not joint, with at least one voter.</param>
    /// <param name="index">The entry appended now, if any.</param>
    public ProposeOutcome ProposeConfiguration(Configuration target, out ulong index)
    {
        if (target.IsJoint || target.Voters.IsEmpty)
        {
            throw new ArgumentException("A target has voters, and is not itself on the way to another.", nameof(target));
        }

        index = 0;
        if (Role != RaftRole.Leader)
        {
            return ProposeOutcome.NotLeader;
        }

        if (!TransferTarget.IsNone)
        {
            return ProposeOutcome.Transferring;
        }

        if (_isStorageSpaceLow)
        {
            return ProposeOutcome.StorageFull;
        }

        // Without an entry of the own term committed, an unfinished change of an earlier leader could still come back
        // (the single-server bug of 2015, which joint changes share).
        if (!HasCommittedInTerm || !IsConfigurationCommitted || Configuration.IsJoint)
        {
            return ProposeOutcome.ChangeUnderWay;
        }

        if (target.Equals(Configuration))
        {
            index = ConfigurationIndex;
            return ProposeOutcome.Unchanged;
        }

        bool isSameVoters = target.Voters.SequenceEqual(Configuration.Voters);
        AppendConfiguration(isSameVoters ? target : Configuration.Of(target.Voters, Configuration.Voters, target.Learners));
        index = ConfigurationIndex;
        FeedAll();
        return ProposeOutcome.Appended;
    }

    // Whoever leaves may have to be elected once more: as long as the configuration without it is not committed, nobody else
    // may have that entry, and no log without it can win the votes of those who have (Raft thesis §4.2.2).
    private bool MayLead => _configurations.IsVoterSince(_log.Committed, Self);

    private void AppendConfiguration(Configuration configuration)
    {
        var entry = new RaftEntry(_log.LastIndex + 1, Term, RaftEntryKind.Configuration, ConfigurationCodec.Encode(configuration));
        AppendOwn(entry);
        _configurations.Append(entry.Index, configuration);
        TrackMembers();
    }

    private void TrackMembers()
    {
        foreach (MemberId member in Configuration.Members)
        {
            if (member != Self)
            {
                _progress.TryAdd(member, new PeerProgress(_log.LastIndex + 1));
            }
        }
    }

    // A leader's next steps after an entry was committed.
    private void AfterCommit()
    {
        if (!HasCommittedInTerm || !IsConfigurationCommitted)
        {
            return;
        }

        if (Configuration.IsJoint)
        {
            AppendConfiguration(Configuration.Left);
            FeedAll();
            return;
        }

        // Whoever left was fed until here, so that it had the chance to learn that it left.
        foreach (MemberId member in _progress.Keys.Except(Configuration.Members).ToArray())
        {
            _progress.Remove(member);
        }

        if (!Configuration.IsVoter(Self))
        {
            // Until now somebody had to lead the others to the configuration without this member (Raft thesis §4.2.2).
            HandOver();
            BecomeFollower(Term, MemberId.None);
        }
    }
}
