"""A recording's video: where to put it, saying that it is there, and where to get it. Its bytes never pass here.

POST …/video-upload-url ──▶ presigned URL ──PUT──▶ storage ◀──stat── POST …/confirm-video
GET  …/video ──307──▶ signed URL ──GET──▶ storage
"""

from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from app import openapi
from app.auth import ApiRequest, needs
from app.confirmation import Confirmation, confirm_upload
from app.documents import RecordingDocument, RecordingStatus, UploadUrl
from app.errors import POLL_AGAIN_S, ApiError, Code, not_found
from app.presigned import upload_url, video_url
from app.recordings import document_for, visible
from app.services import services_of
from models import lifecycle, video
from models.recording import Recording, Status
from models.tenancy import Scope
from models.video import NotAwaited

NO_STORE = {"Cache-Control": "no-store"}


@post(
    "/{recording_id:uuid}/confirm-video",
    status_code=200,
    guards=[needs(Scope.INGEST)],
    operation_class=openapi.CONFIRM_VIDEO,
    responses=openapi.problems(
        Code.NOT_FOUND, Code.NO_VIDEO_EXPECTED, Code.VIDEO_NOT_UPLOADED, Code.RECORDING_FAILED
    ),
)
async def confirm_video(
    request: ApiRequest, recording_id: FromPath[UUID]
) -> Response[RecordingDocument | RecordingStatus]:
    """Say that the video is uploaded. Saying it again changes nothing."""
    services = services_of(request)
    recording = await visible(request, recording_id)
    confirmed = False
    while not confirmed and video.may_upload(recording):
        match await confirm_upload(services, recording):
            case Confirmation.ABSENT:
                detail = "The video is not in storage: PUT all of it to its upload URL, then confirm."
                raise ApiError(Code.VIDEO_NOT_UPLOADED, detail, headers={"Retry-After": str(POLL_AGAIN_S)})
            case outcome:
                confirmed = outcome is Confirmation.DONE
        recording = await visible(request, recording_id)
    if not recording.has_video:
        raise _no_video_expected()
    if recording.status is Status.FAILED and not confirmed:
        raise _failed(recording)
    pending = recording.status not in lifecycle.TERMINAL
    headers = NO_STORE | ({"Retry-After": str(POLL_AGAIN_S)} if pending else {})
    return Response(document_for(request, recording), headers=headers)


@post(
    "/{recording_id:uuid}/video-upload-url",
    status_code=200,
    guards=[needs(Scope.INGEST)],
    operation_class=openapi.VIDEO_UPLOAD_URL,
    responses=openapi.problems(
        Code.NOT_FOUND, Code.NO_VIDEO_EXPECTED, Code.VIDEO_ALREADY_CONFIRMED, Code.RECORDING_FAILED
    ),
)
async def renew_upload_url(request: ApiRequest, recording_id: FromPath[UUID]) -> Response[UploadUrl]:
    """Get a fresh URL to upload the video to, while it is awaited."""
    services = services_of(request)
    await visible(request, recording_id)
    try:
        upload = await video.renew_upload(
            services.db, request.auth.tenant_id, recording_id, ends_s=services.video.upload_ends_s
        )
    except NotAwaited:
        raise _not_awaited(await visible(request, recording_id)) from None
    if upload is None:
        raise not_found()
    return Response(upload_url(services, upload), headers=NO_STORE)


@get(
    "/{recording_id:uuid}/video",
    status_code=307,
    guards=[needs(Scope.READ)],
    operation_class=openapi.VIDEO,
    responses=openapi.problems(Code.NOT_FOUND, Code.VIDEO_NOT_FOUND),
)
async def read_video(request: ApiRequest, recording_id: FromPath[UUID]) -> Redirect:
    """Watch the video: leads to a URL that needs no key, knows Range, and holds for an hour."""
    recording = await visible(request, recording_id)
    if recording.video_name is None or recording.video is None:
        raise ApiError(Code.VIDEO_NOT_FOUND, "There is no video, or it has not been verified yet.")
    url = video_url(services_of(request), recording.video_name, recording.video["container"])
    return Redirect(url, status_code=307, headers=NO_STORE)


def _not_awaited(recording: Recording) -> ApiError:
    if not recording.has_video:
        return _no_video_expected()
    if recording.status is Status.FAILED:
        return _failed(recording)
    return ApiError(Code.VIDEO_ALREADY_CONFIRMED, "The video was confirmed already; it cannot be replaced.")


def _no_video_expected() -> ApiError:
    return ApiError(Code.NO_VIDEO_EXPECTED, "This recording was created without has_video.")


def _failed(recording: Recording) -> ApiError:
    return ApiError(Code.RECORDING_FAILED, f"This recording failed: {recording.failure_code}.")


HANDLERS = (confirm_video, renew_upload_url, read_video)
