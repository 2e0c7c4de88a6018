namespace Kcore.Ctl;

/// <summary>Everything a command touches besides the socket, so that tests run commands in-process.</summary>
/// <param name="Out">The result.</param>
/// <param name="Error">Progress, warnings and errors.</param>
/// <param name="Variable">Reads an environment variable.</param>
/// <param name="Pause">Waits between two polls; returns early when <paramref name="Interrupted"/> is cancelled.</param>
/// <param name="ColourErrors">Standard error is a terminal and NO_COLOR is not set.</param>
/// <param name="Interrupted">Cancelled by SIGINT or SIGTERM.</param>
internal sealed record Surroundings(
    TextWriter Out,
    TextWriter Error,
    Func<string, string?> Variable,
    TimeProvider Time,
    Action<TimeSpan> Pause,
    bool ColourErrors,
    CancellationToken Interrupted);
