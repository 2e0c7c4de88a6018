namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>
/// The numbers of <see cref="PathWatch"/>. With 500 peers the paces make some 25 questions a second, 8 of them of full size.
/// </summary>
internal sealed record PathRules
{
    /// <summary>Between two questions to a peer while all is well.</summary>
    public TimeSpan Routine { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Between two questions of full size to a peer.</summary>
    public TimeSpan FullSize { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Between two questions to a peer that does not answer.</summary>
    public TimeSpan Broken { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After this long a question counts as not answered.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Between two searches for the largest packet that passes.</summary>
    public TimeSpan Search { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>New peers are asked first within this time, each at a moment of its own.</summary>
    public TimeSpan Spread { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>So many small questions in a row without an answer, four seconds: the path is broken. A daemon starts anew in less.</summary>
    public int BrokenCount { get; init; } = 8;

    /// <summary>So many of full size without an answer, each between two answered small ones: it does not pass.</summary>
    public int TooSmallCount { get; init; } = 3;

    /// <summary>The same for a size that the search tries.</summary>
    public int SearchCount { get; init; } = 2;

    /// <summary>A turn this late means that this node stood still: what was not answered meanwhile proves nothing.</summary>
    public TimeSpan StallMin { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Questions of one turn. With turns of 20 ms it suffices for 500 peers that fall silent at once.</summary>
    public int AtOnce { get; init; } = 32;

    /// <summary>Answers one peer gets at once, enough for a search, and on average.</summary>
    public int AnswerBurst { get; init; } = 40;

    public int AnswersPerSecond { get; init; } = 5;
}
