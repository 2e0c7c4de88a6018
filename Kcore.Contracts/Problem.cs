using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>
/// Body of every refusal (media type <c>application/problem+json</c>, RFC 9457, with our members).
/// </summary>
/// <param name="Code">Category.</param>
/// <param name="Message">One sentence: what is wrong.</param>
/// <param name="Details">Evidence: the numbers and names the refusal rests on.</param>
/// <param name="Next">The command or flag that helps, when there is one.</param>
public sealed record Problem(ErrorCode Code, string Message, ImmutableArray<string> Details, string? Next)
{
    public const string MediaType = "application/problem+json";

    /// <summary>HTTP status the category travels under.</summary>
    public static int StatusOf(ErrorCode code) => code switch
    {
        ErrorCode.InvalidArgument => 400,
        ErrorCode.PermissionDenied => 403,
        ErrorCode.NotFound => 404,
        ErrorCode.AlreadyExists => 409,
        ErrorCode.FailedPrecondition => 412,
        ErrorCode.ResourceExhausted => 429,
        ErrorCode.Unavailable => 503,
        _ => 500,
    };
}
