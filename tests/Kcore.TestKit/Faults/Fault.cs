namespace Kcore.TestKit.Faults;

/// <summary>What happens to one node for a while.</summary>
public enum Fault
{
    /// <summary>SIGKILL, started again at the end.</summary>
    Kill,

    /// <summary>SIGSTOP, continued at the end.</summary>
    Pause,

    /// <summary>It sends and hears nothing.</summary>
    Deafen,

    /// <summary>It hears and nobody hears it.</summary>
    Mute,

    /// <summary>Its data directory has no byte left.</summary>
    FillDisk,

    /// <summary>Each durable write to its data directory takes most of a second.</summary>
    SlowDisk,

    /// <summary>No write to its data directory ends.</summary>
    HangDisk,
}
