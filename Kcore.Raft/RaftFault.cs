namespace Kcore.Raft;

/// <summary>Why a member takes no part any more. Final: only a member made anew from its store, or another store, goes on.</summary>
public enum RaftFault
{
    /// <summary>It takes part.</summary>
    None,

    /// <summary>A write or sync failed: nobody knows what the disk holds until the store is opened again.</summary>
    DiskFailed,

    /// <summary>The store lost or changed something that it had acknowledged: its node must come back as another member.</summary>
    Corrupt,

    /// <summary>The state differs from the others' at an equal index.</summary>
    StateDiverged,
}
