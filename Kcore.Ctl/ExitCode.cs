using Kcore.Contracts;

namespace Kcore.Ctl;

/// <summary>What a script sees. The numbers are a contract and never change meaning.</summary>
internal enum ExitCode
{
    Done = 0,
    Internal = 1,
    Usage = 2,
    NotFound = 3,
    Refused = 4,
    PermissionDenied = 5,
    NotReachable = 6,

    /// <summary>The change was accepted; only the waiting ended.</summary>
    TimedOut = 7,
    Partial = 8,
    Degraded = 9,
    Differences = 10,

    /// <summary>The cluster cannot serve the request now; the same request may succeed later.</summary>
    Unavailable = 11,
    Interrupted = 130,
}

internal static class ExitCodes
{
    public static ExitCode Of(ErrorCode code) => code switch
    {
        ErrorCode.InvalidArgument => ExitCode.Usage,
        ErrorCode.NotFound => ExitCode.NotFound,
        ErrorCode.AlreadyExists or ErrorCode.FailedPrecondition or ErrorCode.ResourceExhausted => ExitCode.Refused,
        ErrorCode.PermissionDenied => ExitCode.PermissionDenied,
        ErrorCode.Unavailable => ExitCode.Unavailable,
        _ => ExitCode.Internal,
    };
}
